import { type Html, html } from './html.ts';
import { complaint, notice, type Page, page, START } from './page.ts';
import type { Person } from './person.ts';

/** Where the form of a device's code goes, and the mark that it came from this browser's page. */
interface DeviceForm {
  action: string;
  xsrf: string;
}

/** Asks for the code that a device shows. */
export function enterCodePage(
  { action, xsrf }: DeviceForm,
  { wrong, status = 200 }: { wrong?: string; status?: number } = {},
): Page {
  return page(
    'Connect a program',
    html`<h1>Connect a program</h1>
<p class="lead">Enter the code that your terminal shows.</p>
${complaint(wrong)}
<form method="post" action="${action}">
<input type="hidden" name="xsrf" value="${xsrf}">
<div class="field"><label for="user_code">Code</label>
<input class="code" id="user_code" name="user_code" type="text" placeholder="XXXX-XXXX" autocomplete="off" autocapitalize="characters" autocorrect="off" spellcheck="false" maxlength="20" required autofocus${wrong !== undefined && html` aria-invalid="true"`}></div>
<div class="buttons"><button type="submit">Continue</button></div>
</form>`,
    { status },
  );
}

/** Asks somebody who is signed in whether they connect this program, which may be one that somebody else began to log in. */
export function confirmCodePage(
  { action, xsrf }: DeviceForm,
  {
    userCode,
    client = 'An unknown program',
    address,
    browserAddress,
    person,
  }: {
    userCode: string;
    client: string | undefined;
    /** The address that the program asked from. */
    address: string | undefined;
    browserAddress: string;
    person: Person;
  },
): Page {
  return page(
    'Connect this program?',
    html`<h1>Connect ${client}${address !== undefined && html` at ${address}`} as ${person.displayName}?</h1>
<dl><dt>Program</dt><dd>${client}</dd>
<dt>Address</dt><dd>${address ?? 'unknown'}${address !== undefined && html` <span class="aside">${whose(address, browserAddress)}</span>`}</dd>
<dt>Account</dt><dd>${person.displayName} (${person.name})</dd></dl>
<p>Your terminal must show this code:</p>
<p class="code-shown">${userCode}</p>
<p class="warning"><strong>If somebody sent you this link or this code, cancel.</strong> The program may then use your secrets and submit jobs as you.</p>
<form method="post" action="${action}">
<input type="hidden" name="xsrf" value="${xsrf}">
<input type="hidden" name="user_code" value="${userCode}">
<div class="buttons"><button type="submit" name="confirm" value="yes">Connect</button>
<button class="quiet" type="submit" name="abort" value="yes">Cancel</button></div>
</form>`,
  );
}

function whose(address: string, browserAddress: string): Html {
  return address === browserAddress
    ? html`the same as this browser's`
    : html`another than this browser's, ${browserAddress}`;
}

/** After all went well. */
export function deviceConnectedPage(client: string | undefined): Page {
  return notice(
    'You are logged in',
    `${client ?? 'The program'} goes on by itself. You can close this page, or look at your logins.`,
    { good: true, links: [{ href: '/', text: 'Your logins' }] },
  );
}

/** After the person said no. */
export function deviceRefusedPage(): Page {
  return notice('Not connected', 'The program was not connected, and its code is void. You can close this page.', {
    links: [START, { href: '/device', text: 'Enter another code' }],
  });
}

/** For a form that is not of this browser's last page: it was open for too long, or in another tab. */
export function devicePageExpired(userCode: unknown): Page {
  const href = typeof userCode !== 'string' ? '/device' : `/device?${new URLSearchParams({ user_code: userCode })}`;
  return notice('This page has expired', 'It was open for too long, or a newer one is open in another tab.', {
    status: 400,
    links: [{ href, text: 'Show it again' }],
  });
}

import { html } from './html.ts';
import { complaint, notice, type Page, page } from './page.ts';

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
    'Enter the code',
    html`<h1>Connect a device</h1>
<p class="lead">Enter the code that your terminal or device shows.</p>
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

/** Asks whether the code is the one that the person's own device shows: the guard against a link that somebody else sent. */
export function confirmCodePage(
  { action, xsrf }: DeviceForm,
  {
    userCode,
    client,
    device,
  }: { userCode: string; client?: string | undefined; device?: { ip?: string; ua?: string } | undefined },
): Page {
  return page(
    'Confirm the code',
    html`<h1>Is this your device?</h1>
<p class="lead">Your terminal or device must show this very code:</p>
<p class="code-shown">${userCode}</p>
${(client !== undefined || device?.ip !== undefined) && html`<dl>${client !== undefined && html`<dt>Program</dt><dd>${client}</dd>`}${device?.ip !== undefined && html`<dt>Address</dt><dd>${device.ip}</dd>`}</dl>`}
<form method="post" action="${action}">
<input type="hidden" name="xsrf" value="${xsrf}">
<input type="hidden" name="user_code" value="${userCode}">
<div class="buttons"><button type="submit" name="confirm" value="yes">Yes, connect it</button>
<button class="quiet" type="submit" name="abort" value="yes">No, cancel</button></div>
</form>
<p class="hint">The program that shows this code may then use your secrets and submit jobs as you. If somebody sent you here, cancel.</p>`,
  );
}

/** After all went well. */
export function deviceConnectedPage(): Page {
  return notice('You are logged in', 'Your terminal or device goes on by itself. You can close this page.', {
    good: true,
  });
}

/** After the person said no. */
export function deviceRefusedPage(): Page {
  return notice('Not connected', 'The device was not connected. You can close this page.');
}

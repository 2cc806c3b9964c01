import { html } from './html.ts';
import { type Page, page } from './page.ts';

/** Asks whether a program may act for the person; the form goes to the page's own address. */
export function consentPage({
  client,
  account,
  scopes,
  formTargets,
}: {
  client: string;
  /** The name of the account that is signed in. */
  account: string;
  scopes: readonly string[];
  formTargets?: readonly string[];
}): Page {
  const wishes = scopes.flatMap((scope) => WISHES[scope] ?? []);
  return page(
    'Allow access',
    html`<h1>Allow ${client}?</h1>
<p class="lead">You are signed in as <strong>${account}</strong>. The program wants to:</p>
<ul>${wishes.map((wish) => html`<li>${wish}</li>`)}</ul>
<form method="post">
<div class="buttons"><button type="submit" name="action" value="allow" autofocus>Allow</button>
<button class="quiet" type="submit" name="action" value="cancel">Cancel</button></div>
</form>`,
    formTargets && { formTargets },
  );
}

const WISHES: Record<string, string> = {
  openid: 'know that it is you, use your secrets and submit jobs as you',
  profile: 'see your name and your groups',
  offline_access: 'stay logged in while you are away',
};

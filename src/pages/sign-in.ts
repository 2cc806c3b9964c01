import { html } from './html.ts';
import { complaint, type Page, page } from './page.ts';

/** Asks for name and password; the form goes to the page's own address. */
export function signInPage({
  client,
  name = '',
  wrong,
  status = 200,
  formTargets,
}: {
  /** The program that the person signs in to. */
  client: string;
  /** The name that was typed before. */
  name?: string;
  wrong?: string;
  status?: number;
  formTargets?: readonly string[];
}): Page {
  const invalid = wrong !== undefined && html` aria-invalid="true"`;
  const focus = html` autofocus`;
  return page(
    'Sign in',
    html`<h1>Sign in</h1>
<p class="lead">to continue to ${client}</p>
${complaint(wrong)}
<form method="post">
<div class="field"><label for="name">Name</label>
<input id="name" name="name" type="text" value="${name}" autocomplete="username" autocapitalize="none" autocorrect="off" spellcheck="false" maxlength="64" required${invalid}${name === '' && focus}></div>
<div class="field"><label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required${invalid}${name !== '' && focus}></div>
<div class="buttons"><button type="submit" name="action" value="sign-in">Sign in</button>
<button class="quiet" type="submit" name="action" value="cancel" formnovalidate>Cancel</button></div>
</form>
<p class="hint">Forgotten? The operator of this server can give you a link to choose a new password.</p>`,
    { status, ...(formTargets && { formTargets }) },
  );
}

import { MAX_PASSWORD_CHARS, MIN_PASSWORD_CHARS } from '../protocol/limits.ts';
import { html } from './html.ts';
import { complaint, notice, type Page, page } from './page.ts';

/** Asks for a new password; the form goes to the page's own address. */
export function choosePasswordPage(
  account: string,
  { wrong, status = 200 }: { wrong?: string; status?: number } = {},
): Page {
  return page(
    'Choose a password',
    html`<h1>Choose a password</h1>
<p class="lead">for the account <strong>${account}</strong></p>
${complaint(wrong)}
<form method="post">
<input type="text" name="username" value="${account}" autocomplete="username" hidden>
<div class="field"><label for="password">New password</label>
<input id="password" name="password" type="password" autocomplete="new-password" minlength="${MIN_PASSWORD_CHARS}" maxlength="${MAX_PASSWORD_CHARS}" required autofocus aria-describedby="rule"${wrong !== undefined && html` aria-invalid="true"`}>
<p class="hint" id="rule">At least ${MIN_PASSWORD_CHARS} characters. Several words are easy to keep in mind.</p></div>
<div class="field"><label for="again">The same again</label>
<input id="again" name="again" type="password" autocomplete="new-password" required></div>
<div class="buttons"><button type="submit">Set the password</button></div>
</form>`,
    { status },
  );
}

export function passwordChosenPage(): Page {
  return notice('Your password is set', 'Log in with it from your terminal: pbook login', { good: true });
}

import { html } from './html.ts';
import { type Page, page } from './page.ts';

/** Asks whether this browser's session shall end. */
export function signOutPage({ action, xsrf }: { action: string; xsrf: string }): Page {
  return page(
    'Sign out',
    html`<h1>Sign out?</h1>
<p class="lead">Programs that you logged in stay logged in; end them with <strong>pbook logout</strong>.</p>
<form method="post" action="${action}">
<input type="hidden" name="xsrf" value="${xsrf}">
<div class="buttons"><button type="submit" name="logout" value="yes" autofocus>Sign out</button>
<button class="quiet" type="submit">Stay signed in</button></div>
</form>`,
  );
}

import { html } from './html.ts';
import { notice, type Page, page, START } from './page.ts';

/** Asks whether this browser's session shall end. */
export function signOutPage({ action, xsrf }: { action: string; xsrf: string }): Page {
  return page(
    'Sign out',
    html`<h1>Sign out?</h1>
<p class="lead">Only this browser is signed out. Programs that you logged in stay logged in; you end them on the start page, or with <code>pbook logout</code>.</p>
<form method="post" action="${action}">
<input type="hidden" name="xsrf" value="${xsrf}">
<div class="buttons"><button type="submit" name="logout" value="yes" autofocus>Sign out</button>
<a class="button quiet" href="/">Stay signed in</a></div>
</form>`,
  );
}

export function signedOutPage(): Page {
  return notice('You are signed out', 'You can close this page.', {
    good: true,
    links: [{ href: '/sign-in', text: 'Sign in again' }, START],
  });
}

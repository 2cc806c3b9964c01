import type { Html } from './html.ts';

/** A sealed envelope with a keyhole. */
export const LOGO: Html = {
  text:
    '<svg viewBox="0 0 26 26" fill="none" stroke="currentColor" stroke-width="2" stroke-linejoin="round" aria-hidden="true">' +
    '<rect x="3" y="6" width="20" height="15" rx="3"/><path d="M4 8l9 7 9-7"/><circle cx="13" cy="15" r="3.2" fill="currentColor" stroke="none"/></svg>',
};

export const TICK: Html = {
  text:
    '<svg class="done" viewBox="0 0 46 46" fill="none" stroke="currentColor" stroke-width="3" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">' +
    '<circle cx="23" cy="23" r="20"/><path d="M14.5 23.5l6 6 11-12.5"/></svg>',
};

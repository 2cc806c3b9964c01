import manifest from '../../package.json' with { type: 'json' };

/** The release, as the package names it. */
export const VERSION: string = manifest.version;

/**
 * Seconds since 1970: this release is not older. A node's clock that says less is wrong, or was set back to bring something to life that
 * has ended. To be set with each release.
 */
export const RELEASED_SECONDS = Date.UTC(2026, 10, 1) / 1000;

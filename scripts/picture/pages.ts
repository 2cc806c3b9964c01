import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { confirmCodePage } from '../../src/pages/device.ts';
import { homePage } from '../../src/pages/home.ts';
import { drawPage } from '../../src/pages/page.ts';
import { DEFAULT_SITE_NAME } from '../../src/protocol/limits.ts';

const person = { name: 'alice', displayName: 'Alice Doe' };
const client = 'PanDA command line (pbook, prun)';
const at = (time: string) => Date.parse(`2026-11-20T${time}:00Z`);

const PAGES = {
  connect: confirmCodePage(
    { action: '/device', xsrf: '' },
    { userCode: 'HXPL-PKTB', client, address: '192.0.2.17', browserAddress: '192.0.2.17', person },
  ),
  account: homePage({
    person,
    formToken: '',
    done: undefined,
    logins: [
      {
        kind: 'browser',
        program: null,
        device: 'Firefox on Linux',
        isThis: true,
        createdAt: at('09:02'),
        usedAt: at('09:02'),
      },
      {
        kind: 'program',
        program: client,
        device: 'login1',
        isThis: false,
        createdAt: at('08:40'),
        usedAt: at('09:01'),
      },
    ].map((login, id) => ({
      ...login,
      kind: login.kind as 'browser' | 'program',
      id: String(id),
      address: '192.0.2.17',
    })),
  }),
};

/** Takes pictures of pages into a folder, with the Chromium at a path. */
export async function takePictures(folder: string, executablePath: string): Promise<void> {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--headless', '--disable-gpu'] });
  try {
    for (const [name, page] of Object.entries(PAGES)) {
      const view = await browser.newPage({
        viewport: name === 'connect' ? { width: 440, height: 820 } : { width: 640, height: 690 },
      });
      await view.setContent(drawPage(page, DEFAULT_SITE_NAME).html);
      await view.screenshot({ path: join(folder, `${name}.png`) });
    }
  } finally {
    await browser.close();
  }
}

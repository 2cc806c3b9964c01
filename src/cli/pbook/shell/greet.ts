import { withConnection } from '../../command.ts';
import { note, reportFailure } from '../../reporting.ts';
import { nameIn } from './name-in.ts';

/**
 * Says who is known as whom, or why nobody is: the prompt opens all the same. A login that has ended is renewed, and who has none
 * may log in.
 */
export async function greet(): Promise<void> {
  try {
    note(`PBook user: ${nameIn(await withConnection(({ token }) => token()))}`);
  } catch (error) {
    reportFailure(error, 'pbook');
  }
}

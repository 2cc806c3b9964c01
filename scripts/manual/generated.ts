import { VERSION } from '../../src/protocol/version.ts';
import { modelOf } from './command-model.ts';
import { bashCompletion, fishCompletion, zshCompletion } from './completion.ts';
import { manPage } from './man-page.ts';
import { messagesPage } from './messages.ts';
import { programs } from './programs.ts';

/** Every file that is made from the code: of the definitions of the command lines, and of all messages. Its path in the repository -> its text. */
export function generatedFiles(): Map<string, string> {
  const models = programs().map((program) => modelOf(program));
  const names = models.map(({ path: [name = ''] }) => name);
  const ofPrograms = new Map(
    models.flatMap((model) => {
      const [name = ''] = model.path;
      return [
        [`man/${name}.1`, manPage(model, VERSION, names)],
        [`completions/${name}.bash`, bashCompletion(model)],
        [`completions/_${name}`, zshCompletion(model)],
        [`completions/${name}.fish`, fishCompletion(model)],
      ];
    }),
  );
  return ofPrograms.set('docs/messages.md', messagesPage());
}

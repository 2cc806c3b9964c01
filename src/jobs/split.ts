import type { JobTemplate } from '../protocol/panda-task.ts';

/** Which job of a task it is. */
export interface JobPlace {
  taskId: number;
  /** From 1. */
  serial: number;
}

/** What of a job differs from the others of its task. */
export interface SplitJob {
  /** PanDA's `jobPars`. */
  parameters: string;
  outputs: string[];
  logName: string;
}

/**
 * Makes one job of a task: PanDA's placeholders `${SN}` and `${SN/P}` (the serial number with six digits), `${SEQNUMBER}`
 * (counts on from the piece's first number), `${SURL}` and `$JEDITASKID` are replaced, in one pass, so that what is put in is
 * never looked through again.
 */
export function splitJob(template: JobTemplate, place: JobPlace): SplitJob {
  const expand = (text: string, firstNumber = 1) =>
    text.replace(/\$\{(SN|SN\/P|SEQNUMBER|SURL)\}|\$JEDITASKID/g, (_, name: string | undefined) => {
      switch (name) {
        case undefined:
          return String(place.taskId);
        case 'SEQNUMBER':
          return String(firstNumber + place.serial - 1);
        case 'SURL':
          return template.sourceUrl;
        default:
          return String(place.serial).padStart(6, '0');
      }
    });
  return {
    parameters: template.parameters
      .map(({ text, firstNumber }) => expand(text, firstNumber))
      .join('')
      .trimEnd(),
    outputs: template.outputs.map((name) => expand(name)),
    logName: expand(template.log),
  };
}

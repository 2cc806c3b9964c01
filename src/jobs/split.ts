/** What a task's jobs are made from, and all of its parameters that is stored. */
export interface JobTemplate {
  /** Where sandboxes are fetched from: an origin. */
  sourceUrl: string;
  /** SHA-256, hex, of the sandbox that the parameters name, where this server keeps it. Found at the submission. */
  sandboxSha256?: string;
  /** Their texts together, each with its placeholders replaced, are a job's parameters. */
  parameters: readonly ParameterPiece[];
  /** Templates of the outputs' file names. */
  outputs: readonly string[];
  /** Template of the log's file name. */
  log: string;
  /** 0 when there is no limit. */
  maxWalltimeSeconds: number;
  coreCount: number;
  /** MB of the whole job, 0 when none was asked for. */
  memory: number;
  /** MB that its working directory may take, 0 for no limit. */
  disk: number;
  processingType: string;
  prodSourceLabel: string;
}

export interface ParameterPiece {
  text: string;
  /** What `${SEQNUMBER}` is in the first job. */
  firstNumber: number;
}

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

import { Type } from 'typebox';
import { MAX_ASKED_JOBS, MAX_REPORT_BYTES, MAX_SIGNED_CHARS } from '../limits.ts';
import { DELIVERY_FORMATS, KEMS } from '../sealed.ts';
import { SIGNED_WORD } from '../sealed-value.ts';
import { call, type Data, Id, MAX_WHOLE, Nothing, orNull } from './call.ts';

/** Of arguments that PanDA's pilots send and this server has no use for. */
const UNUSED = "taken from PanDA's pilots, and not used";

function text(description: string = UNUSED) {
  return Type.Optional(orNull(Type.String(), { description }));
}

function whole(description: string = UNUSED) {
  return Type.Optional(orNull(Type.Integer({ minimum: -MAX_WHOLE, maximum: MAX_WHOLE }), { description }));
}

function real(description: string = UNUSED) {
  return Type.Optional(orNull(Type.Number(), { description }));
}

function flag(description: string = UNUSED) {
  return Type.Optional(orNull(Type.Boolean(), { description }));
}

const [Text, Whole, Real, Flag] = [text(), whole(), real(), flag()];
const JobId = Type.Integer({ ...Id, description: 'the id of a job, `PandaID`', examples: [1] });
const Attempt = Type.Integer({ ...Id, description: 'the attempt of the job, from 1', examples: [1] });

/** The sealed secrets of one job; binary parts are base64url without padding. */
export type SealedSecrets = Data<typeof SealedSecrets>;
const SealedSecrets = Type.Object(
  {
    format: Type.Enum(DELIVERY_FORMATS, {
      description: 'one that the key was offered for: 1, or 2 where all jobs of an answer have one `enc`',
    }),
    kem: Type.Enum(KEMS),
    owner: Type.String({ description: 'the owner that the seal is bound to' }),
    enc: Type.String(),
    ciphertext: Type.String(),
  },
  { description: 'extension: the secrets, sealed to one of the offered keys' },
);

/** A secret of a job that expires soon. */
export type ExpiringSecret = Data<typeof ExpiringSecret>;
const ExpiringSecret = Type.Object({
  place: Type.Integer({ description: 'among the sorted names of its secrets, from 0' }),
  expires: Type.String({ description: 'its end, ISO 8601, UTC', examples: ['2027-01-31T12:00:00Z'] }),
});

/** A job as a pilot gets it: the fields of PanDA's that this project's pilot reads, and the sealed secrets. */
export type PilotJob = Data<typeof PilotJob>;
const PilotJob = Type.Object(
  {
    PandaID: JobId,
    taskID: Type.Integer({ ...Id, description: 'the id of its task', examples: [10000000] }),
    attemptNr: Attempt,
    jobName: Type.String(),
    transformation: Type.String({ description: 'address of the script that runs jobPars for pilots of PanDA' }),
    jobPars: Type.String(),
    sandboxSha256: Type.Optional(
      Type.String({ description: 'extension, hex: the sandbox that jobPars names must be that' }),
    ),
    prodSourceLabel: Type.String(),
    prodUserID: Type.String(),
    outFiles: Type.String({ description: 'file names with commas between them: the outputs and, last, the log' }),
    logFile: Type.String(),
    maxWalltime: Type.Integer({ description: 'seconds, 0 for no limit' }),
    minRamCount: Type.Optional(Type.Integer({ description: 'MB of memory that it asked for; 0 when it did not' })),
    maxDiskCount: Type.Optional(Type.Integer({ description: 'MB of disk that it asked for; 0 when it did not' })),
    secrets: Type.Optional(
      Type.String({
        description:
          'the JSON text name -> value, over TLS alone: to a pilot that offers no key, on a queue that allows it',
      }),
    ),
    sealedSecrets: Type.Optional(SealedSecrets),
    secretsMaskedWhole: Type.Optional(
      Type.Array(Type.Integer(), {
        description:
          'the places, from 0, among the sorted names of its secrets, of those of which logs hide the value alone',
      }),
    ),
    grant: Type.Optional(
      Type.String({
        description: "extension: the grant of the job's owner; with it the job gets sealed secrets alone",
      }),
    ),
    serial: Type.Optional(
      Type.Integer({ ...Id, description: 'extension, with a grant: which of its jobs it is, from 1' }),
    ),
    grantAttempt: Type.Optional(
      Type.Integer({ description: 'extension, with a grant: which attempt it is since that was signed, from 1' }),
    ),
    secretsSealedLeftOut: Type.Optional(
      Type.Integer({ description: "how many of its owner's secrets it does not get, as they are sealed" }),
    ),
    secretsExpired: Type.Optional(
      Type.Integer({ description: "how many of its owner's secrets it does not get, as they have expired" }),
    ),
    secretsExpiring: Type.Optional(
      Type.Array(ExpiringSecret, { description: 'those of its secrets that expire soon, for the log' }),
    ),
    secretsLeftOut: Type.Optional(
      Type.Integer({ description: "how many of its owner's secrets it does not get, as they do not go to this queue" }),
    ),
  },
  { additionalProperties: true, description: 'and the other fields of a job of PanDA' },
);

/** When there is no job, the call is refused with the message `No jobs in PanDA`. */
export const acquireJobs = call({
  path: 'pilot/acquire_jobs',
  http: 'POST',
  panda: true,
  summary: 'Gives waiting jobs of a queue to a pilot, each with a lease.',
  parameters: Type.Object({
    site_name: Type.String({ description: 'the queue', examples: ['SITE_A'] }),
    timeout: Whole,
    memory: whole('MB that a job has there: only jobs that asked for no more; 0 and less say nothing'),
    disk_space: Whole,
    prod_source_label: Text,
    node: text('the name of the machine, which owners see'),
    computing_element: Text,
    prod_user_id: Text,
    get_proxy_key: Flag,
    task_id: whole('jobs of this task alone'),
    n_jobs: whole('how many jobs at most; 1 without it'),
    background: Flag,
    resource_type: Text,
    harvester_id: Text,
    worker_id: Whole,
    scheduler_id: Text,
    job_type: Text,
    via_topic: Flag,
    remaining_time: whole('seconds that a job has there: only jobs that may run no longer, or have no limit'),
    cores: whole('extension: cores that a job has there: only jobs that asked for no more'),
    sealed: Type.Optional(
      Type.Boolean({
        description: 'extension: true of a pilot that has a key of its site, and may have jobs with grants',
      }),
    ),
    sealing_keys: Type.Optional(
      Type.Array(
        Type.Object({
          kem: Type.String({ description: 'one that the server does not know is passed over' }),
          public_key: Type.String({ description: 'base64url' }),
          formats: Type.Optional(
            Type.Array(Type.Integer(), {
              maxItems: 8,
              description: 'the formats of sealedSecrets that the pilot opens; 1 alone without it',
              examples: [[1, 2]],
            }),
          ),
        }),
        { maxItems: 4, description: 'extension: public keys made for this one request' },
      ),
    ),
  }),
  answer: Type.Object({ StatusCode: Type.Literal(0), jobs: Type.Array(PilotJob) }),
});

/** The answer to a pilot's report. */
export type JobCommand = Data<typeof JobCommand>;
const Command = Type.Enum(['NULL', 'tobekilled'], {
  description: "tobekilled when its owner killed the job, or the attempt is no longer this pilot's",
});
const JobCommand = Type.Object({ StatusCode: Type.Literal(0), command: Command });

export const updateJob = call({
  path: 'pilot/update_job',
  http: 'POST',
  maxBodyBytes: MAX_REPORT_BYTES,
  panda: true,
  summary: "Reports a job's state; a report of a running job is its heartbeat. `command` tells the pilot what to do.",
  parameters: Type.Object({
    job_id: JobId,
    job_status: text('the state: `running`, `finished`, `failed`, ...; required'),
    job_sub_status: Text,
    start_time: Text,
    end_time: Text,
    pilot_timing: Text,
    site_name: Text,
    node: text('the name of the machine'),
    scheduler_id: Text,
    pilot_id: Text,
    batch_id: Text,
    trans_exit_code: whole("the payload's exit status"),
    pilot_error_code: whole('why the attempt failed, as a number of PanDA'),
    pilot_error_diag: text('the same in words, for its owner'),
    exe_error_code: whole('stands for `pilot_error_code` where that is not given'),
    exe_error_diag: text('stands for `pilot_error_diag` where that is not given'),
    n_events: Whole,
    n_input_files: Whole,
    attempt_nr: whole('the attempt that is reported; required'),
    given_back: flag(
      'extension: with `failed`, of an attempt that the end of its node came upon: it does not count where the job may be tried again anyway, or did not run yet',
    ),
    cpu_consumption_time: Whole,
    cpu_consumption_unit: Text,
    cpu_conversion_factor: Real,
    core_count: Whole,
    mean_core_count: Real,
    max_rss: Whole,
    max_vmem: Whole,
    max_swap: Whole,
    max_pss: Whole,
    avg_rss: Whole,
    avg_vmem: Whole,
    avg_swap: Whole,
    avg_pss: Whole,
    tot_rchar: Whole,
    tot_wchar: Whole,
    tot_rbytes: Whole,
    tot_wbytes: Whole,
    rate_rchar: Real,
    rate_wchar: Real,
    rate_rbytes: Real,
    rate_wbytes: Real,
    corrupted_files: Text,
    cpu_architecture_level: Text,
    grid: Text,
    source_site: Text,
    destination_site: Text,
    job_metrics: Text,
    job_output_report: Text,
    pilot_log: Text,
    meta_data: Text,
    stdout: Text,
    timeout: Whole,
  }),
  answer: JobCommand,
});

export const uploadJobFile = call({
  path: 'pilot/upload_job_file',
  http: 'POST',
  panda: false,
  summary: "Uploads a log or output of the pilot's attempt (body: the bytes; arguments: query string).",
  parameters: Type.Object({
    job_id: JobId,
    attempt_nr: Attempt,
    kind: Type.Enum(['log', 'output'], { description: 'what it is' }),
    name: Type.String({
      minLength: 1,
      maxLength: 255,
      description: 'its name, one of those that the job was given',
      examples: ['user.alice.first.000001.out.txt'],
    }),
    signature: Type.Optional(
      Type.String({
        pattern: SIGNED_WORD,
        maxLength: MAX_SIGNED_CHARS,
        description: "of a job with a grant: the node's word for the bytes, payload.signature",
        examples: ['eyJub25jZSI6Ii4uLiJ9.c2lnbmF0dXJl'],
      }),
    ),
  }),
  body: 'application/octet-stream',
  answer: Nothing,
});

/** The state of a job, for a pilot. */
export type PilotJobStatus = Data<typeof PilotJobStatus>;
const PilotJobStatus = Type.Object({
  job_id: Id,
  status: Type.String({ description: "not found when it is not this pilot's" }),
  attempt_number: Type.Integer(),
  command: Type.Optional(
    Type.Enum(['NULL', 'tobekilled'], {
      description: 'extension: as update_job answers, without the write that a heartbeat is',
    }),
  ),
});

export const getPilotJobStatus = call({
  path: 'pilot/get_job_status',
  http: 'GET',
  panda: true,
  summary: 'The states of jobs, for pilots.',
  parameters: Type.Object({
    job_ids: Type.Array(Id, {
      minItems: 1,
      maxItems: MAX_ASKED_JOBS,
      description: 'ids of jobs, `PandaID`',
      examples: [[1, 2]],
    }),
    timeout: Type.Optional(Type.Integer({ description: UNUSED })),
  }),
  answer: Type.Array(PilotJobStatus),
});

export const updateWorkerStatus = call({
  path: 'pilot/update_worker_status',
  http: 'POST',
  panda: true,
  summary: 'Accepted and not kept.',
  parameters: Type.Object({
    worker_id: Type.String({ description: UNUSED }),
    harvester_id: Type.String({ description: UNUSED }),
    status: Type.String({ description: UNUSED }),
    timeout: Whole,
    node_id: Text,
  }),
  answer: Nothing,
});

export const updateWorkerNode = call({
  path: 'pilot/update_worker_node',
  http: 'POST',
  panda: true,
  summary: 'Accepted and not kept.',
  parameters: Type.Object({
    site: Type.String({ description: UNUSED }),
    host_name: Type.String({ description: UNUSED }),
    cpu_model: Type.String({ description: UNUSED }),
    panda_queue: Text,
    n_logical_cpus: Whole,
    n_sockets: Whole,
    cores_per_socket: Whole,
    threads_per_core: Whole,
    cpu_architecture: Text,
    cpu_architecture_level: Text,
    clock_speed: Real,
    total_memory: Whole,
    total_local_disk: Whole,
    timeout: Whole,
  }),
  answer: Nothing,
});

export const updateWorkerNodeGpu = call({
  path: 'pilot/update_worker_node_gpu',
  http: 'POST',
  panda: true,
  summary: 'Accepted and not kept.',
  parameters: Type.Object({
    site: Type.String({ description: UNUSED }),
    host_name: Type.String({ description: UNUSED }),
    vendor: Type.String({ description: UNUSED }),
    model: Type.String({ description: UNUSED }),
    count: Type.Integer({ description: UNUSED }),
    vram: Whole,
    architecture: Text,
    framework: Text,
    framework_version: Text,
    driver_version: Text,
    timeout: Whole,
  }),
  answer: Nothing,
});

import { Type } from 'typebox';
import { MAX_ASKED_JOBS } from '../limits.ts';
import type { SealedSecrets } from '../sealed.ts';
import { call, Id, MAX_WHOLE } from './call.ts';

const Text = Type.Optional(Type.Union([Type.String(), Type.Null()]));
const Whole = Type.Optional(Type.Union([Type.Integer({ minimum: -MAX_WHOLE, maximum: MAX_WHOLE }), Type.Null()]));
const Real = Type.Optional(Type.Union([Type.Number(), Type.Null()]));
const Flag = Type.Optional(Type.Union([Type.Boolean(), Type.Null()]));

/** Answers `{ StatusCode: 0, jobs: [PilotJob] }`; when there is none `success: false` and `No jobs in PanDA`. */
export const acquireJobs = call({
  path: 'pilot/acquire_jobs',
  http: 'POST',
  panda: true,
  summary: 'Gives waiting jobs of a queue to a pilot, each with a lease.',
  parameters: Type.Object({
    site_name: Type.String({ description: 'the queue' }),
    timeout: Whole,
    memory: Whole,
    disk_space: Whole,
    prod_source_label: Text,
    node: Text,
    computing_element: Text,
    prod_user_id: Text,
    get_proxy_key: Flag,
    task_id: Whole,
    n_jobs: Whole,
    background: Flag,
    resource_type: Text,
    harvester_id: Text,
    worker_id: Whole,
    scheduler_id: Text,
    job_type: Text,
    via_topic: Flag,
    remaining_time: Whole,
    sealing_keys: Type.Optional(
      Type.Array(
        Type.Object({
          kem: Type.String({ description: 'one that the server does not know is passed over' }),
          public_key: Type.String({ description: 'base64url' }),
        }),
        { maxItems: 4, description: 'extension: public keys made for this one request' },
      ),
    ),
  }),
});

/** A job as a pilot gets it: the fields of PanDA's that this project's pilot reads, and the sealed secrets. */
export interface PilotJob {
  PandaID: number;
  taskID: number;
  attemptNr: number;
  jobName: string;
  transformation: string;
  jobPars: string;
  /** SHA-256, hex, of the sandbox that `jobPars` names, where the server knows it: what is fetched must be that. */
  sandboxSha256?: string;
  prodSourceLabel: string;
  prodUserID: string;
  /** File names with commas between them: the outputs and, last, the log. */
  outFiles: string;
  logFile: string;
  /** Seconds, 0 for no limit. */
  maxWalltime: number;
  /** MB that it asked for, of memory and of disk; 0 when it did not. */
  minRamCount?: number;
  maxDiskCount?: number;
  /** The JSON text name -> value, over TLS alone; only to a pilot that offers no key, on a queue that allows it. */
  secrets?: string;
  sealedSecrets?: SealedSecrets;
  /** How many of its owner's secrets it does not get because they do not go to this queue. */
  secretsLeftOut?: number;
}

export const updateJob = call({
  path: 'pilot/update_job',
  http: 'POST',
  panda: true,
  summary: "Reports a job's state; a report of a running job is its heartbeat. `command` tells the pilot what to do.",
  parameters: Type.Object({
    job_id: Id,
    job_status: Text,
    job_sub_status: Text,
    start_time: Text,
    end_time: Text,
    pilot_timing: Text,
    site_name: Text,
    node: Text,
    scheduler_id: Text,
    pilot_id: Text,
    batch_id: Text,
    trans_exit_code: Whole,
    pilot_error_code: Whole,
    pilot_error_diag: Text,
    exe_error_code: Whole,
    exe_error_diag: Text,
    n_events: Whole,
    n_input_files: Whole,
    attempt_nr: Whole,
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
});

/** `data` of `update_job`. */
export interface JobCommand {
  StatusCode: 0;
  /** `tobekilled` when the owner killed it, or the attempt is no longer this pilot's. */
  command: 'NULL' | 'tobekilled';
}

/** The body is the file itself (`application/octet-stream`), the arguments are in the query string. */
export const uploadJobFile = call({
  path: 'pilot/upload_job_file',
  http: 'POST',
  panda: false,
  summary: "Uploads a log or output of the pilot's attempt (body: the bytes; arguments: query string).",
  parameters: Type.Object({
    job_id: Id,
    attempt_nr: Id,
    kind: Type.Union([Type.Literal('log'), Type.Literal('output')]),
    name: Type.String({ minLength: 1, maxLength: 255 }),
  }),
});

/** One of those that `get_job_status` answers with. */
export interface PilotJobStatus {
  job_id: number;
  /** `not found` when it is not this pilot's. */
  status: string;
  attempt_number: number;
  /** Our extension: as `update_job` answers, without the write that a heartbeat is. */
  command?: JobCommand['command'];
}

export const getPilotJobStatus = call({
  path: 'pilot/get_job_status',
  http: 'GET',
  panda: true,
  summary: 'The states of jobs, for pilots.',
  parameters: Type.Object({
    job_ids: Type.Array(Id, { minItems: 1, maxItems: MAX_ASKED_JOBS }),
    timeout: Type.Optional(Type.Integer()),
  }),
});

export const updateWorkerStatus = call({
  path: 'pilot/update_worker_status',
  http: 'POST',
  panda: true,
  summary: 'Accepted and not kept.',
  parameters: Type.Object({
    worker_id: Type.String(),
    harvester_id: Type.String(),
    status: Type.String(),
    timeout: Whole,
    node_id: Text,
  }),
});

export const updateWorkerNode = call({
  path: 'pilot/update_worker_node',
  http: 'POST',
  panda: true,
  summary: 'Accepted and not kept.',
  parameters: Type.Object({
    site: Type.String(),
    host_name: Type.String(),
    cpu_model: Type.String(),
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
});

export const updateWorkerNodeGpu = call({
  path: 'pilot/update_worker_node_gpu',
  http: 'POST',
  panda: true,
  summary: 'Accepted and not kept.',
  parameters: Type.Object({
    site: Type.String(),
    host_name: Type.String(),
    vendor: Type.String(),
    model: Type.String(),
    count: Type.Integer(),
    vram: Whole,
    architecture: Text,
    framework: Text,
    framework_version: Text,
    driver_version: Text,
    timeout: Whole,
  }),
});

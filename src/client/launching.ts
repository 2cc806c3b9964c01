import type { Launching } from '../protocol/launching.ts';
import type { Transport } from './transport.ts';

/** The calls of a launcher. Each throws as `Transport` says. */
export function launchingCalls(transport: Transport): Launching {
  return {
    getLoad: async (args) => (await transport.get('launcher/get_load', args)).data,
    createJoinToken: async (args) => (await transport.post('launcher/create_join_token', args)).data,
    withdrawJoinToken: async (args) => (await transport.post('launcher/withdraw_join_token', args)).data,
    listBatchJobs: async (args) => (await transport.get('launcher/list_batch_jobs', args)).data,
    reportEnd: async (args) => (await transport.post('launcher/report_end', args)).data,
  };
}

import type { Administration } from '../protocol/administration.ts';
import type { Transport } from './transport.ts';

/** The calls of an operator. Each throws as `Transport` says. */
export function administrationCalls(transport: Transport): Administration {
  return {
    listUsers: async (args) => (await transport.get('admin/list_users', args)).data,
    addUser: async (args) => (await transport.post('admin/add_user', args)).data,
    disableUser: async (args) => (await transport.post('admin/disable_user', args)).data,
    logOutUser: async (args) => (await transport.post('admin/log_out_user', args)).data,
    enableUser: async (args) => (await transport.post('admin/enable_user', args)).data,
    createPasswordLink: async (args) => (await transport.post('admin/create_password_link', args)).data,
    listQueues: async (args) => (await transport.get('admin/list_queues', args)).data,
    addQueue: async (args) => (await transport.post('admin/add_queue', args)).data,
    setQueue: async (args) => (await transport.post('admin/set_queue', args)).data,
    removeQueue: async (args) => (await transport.post('admin/remove_queue', args)).data,
    setSiteRecord: async (args) => (await transport.post('admin/set_site_record', args)).data,
    getQueueLoad: async (args) => (await transport.get('admin/get_queue_load', args)).data,
    createPilotToken: async (args) => (await transport.post('admin/create_pilot_token', args)).data,
    listPilots: async (args) => (await transport.get('admin/list_pilots', args)).data,
    endPilot: async (args) => (await transport.post('admin/end_pilot', args)).data,
    addLauncher: async (args) => (await transport.post('admin/add_launcher', args)).data,
    renewLauncher: async (args) => (await transport.post('admin/renew_launcher', args)).data,
    removeLauncher: async (args) => (await transport.post('admin/remove_launcher', args)).data,
    listLaunchers: async (args) => (await transport.get('admin/list_launchers', args)).data,
  };
}

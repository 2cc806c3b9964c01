import type { ListedLogin } from '../protocol/calls/login.ts';
import type { Transport } from './transport.ts';

/** One's own logins and password. Each throws as `Transport` says. */
export interface LoginCalls {
  listLogins(): Promise<readonly ListedLogin[]>;
  endLogin(id: string): Promise<void>;
  endAllLogins(): Promise<void>;
  changePassword(current: string, password: string): Promise<void>;
}

export function loginCalls(transport: Transport): LoginCalls {
  return {
    listLogins: async () => (await transport.get('login/list_logins', {})).data,
    endLogin: async (id) => void (await transport.post('login/end_login', { id })),
    endAllLogins: async () => void (await transport.post('login/end_all_logins', {})),
    changePassword: async (current, password) =>
      void (await transport.post('login/change_password', { current, password })),
  };
}

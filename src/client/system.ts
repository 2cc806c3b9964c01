import type { ListedQuota, UserAttributes } from '../protocol/calls/system.ts';
import type { Transport } from './transport.ts';

/** Questions to the server about itself and the caller. Every call throws as `Transport` says. */
export interface SystemCalls {
  /** The caller as the server sees it; another server says less. */
  getUserAttributes(): Promise<Partial<UserAttributes>>;
  /** The caller's quotas, with how much of each is used (our extension). */
  getQuotas(): Promise<readonly ListedQuota[]>;
}

export function systemCalls(transport: Transport): SystemCalls {
  return {
    async getUserAttributes() {
      return (await transport.get('system/get_user_attributes', {})).data;
    },
    getQuotas: async () => (await transport.get('system/get_quotas', {})).data,
  };
}

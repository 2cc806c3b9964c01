import type { Transport } from './transport.ts';

/** Who the caller is, as the server sees it; an older server says less. */
export interface UserAttributes {
  user_dn_clean?: string;
  fqans?: string[];
  kind?: string;
  issuer?: string;
  display_name?: string;
  nickname?: string | null;
  token_expires_at?: string;
}

/** What is asked of the server about itself and the caller. Every call throws as `Transport` says. */
export interface SystemCalls {
  getUserAttributes(): Promise<UserAttributes>;
}

export function systemCalls(transport: Transport): SystemCalls {
  return {
    async getUserAttributes() {
      return (await transport.get<UserAttributes>('system/get_user_attributes')).data;
    },
  };
}

/**
 * System calls that an isolated payload has no use of and that reach past its namespaces, by the kernel's number for an
 * architecture (`AUDIT_ARCH_*`, linux/audit.h): keyrings belong to a user and a login session, not to a namespace; io_uring
 * and userfaultfd are ways into the kernel that Docker's default profile closes as well.
 */
const FORBIDDEN: readonly { architecture: number; calls: readonly number[] }[] = [
  // add_key, request_key, keyctl, userfaultfd; io_uring_setup, io_uring_enter, io_uring_register.
  { architecture: 0xc000003e, calls: [248, 249, 250, 323, 425, 426, 427] }, // x86-64
  { architecture: 0x40000003, calls: [286, 287, 288, 374, 425, 426, 427] }, // i386, on x86-64 as well
  { architecture: 0xc00000b7, calls: [217, 218, 219, 282, 425, 426, 427] }, // aarch64
  { architecture: 0x40000028, calls: [309, 310, 311, 388, 425, 426, 427] }, // arm, on aarch64 as well
];
const X86_64 = 0xc000003e;
/** Set in the numbers of the x32 calls, an x86-64 architecture that nobody uses. */
const X32_BIT = 0x40000000;

/** Instructions of classic BPF (linux/bpf_common.h) and the filter's answers (linux/seccomp.h). */
const LOAD_WORD = 0x20;
const JUMP_IF_EQUAL = 0x15;
const JUMP_IF_NOT_LESS = 0x35;
const RETURN = 0x06;
const ALLOW = 0x7fff0000;
/** As a kernel without the call answers: programs that try it have another way then. */
const NO_SUCH_CALL = 0x00050000 | 38;
/** The places of a call's number and architecture in `struct seccomp_data`. */
const NUMBER_OFFSET = 0;
const ARCHITECTURE_OFFSET = 4;

type Instruction = [code: number, ifTrue: number, ifFalse: number, value: number];

/**
 * The filter as `bwrap --seccomp` reads it: an array of `struct sock_filter`.
 *
 * @param machine as Node names it
 * @returns `undefined` for machines whose call numbers are not known here
 */
export function systemCallFilter(machine: string = process.arch): Uint8Array | undefined {
  if (machine !== 'x64' && machine !== 'arm64') return undefined;
  const program: Instruction[] = [[LOAD_WORD, 0, 0, ARCHITECTURE_OFFSET]];
  for (const { architecture, calls } of FORBIDDEN) {
    const section = checkOf(calls, architecture === X86_64);
    program.push([JUMP_IF_EQUAL, 0, section.length, architecture], ...section);
  }
  program.push([RETURN, 0, 0, NO_SUCH_CALL]);
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, [code, ifTrue, ifFalse, value]] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(ifTrue, index * 8 + 2);
    bytes.writeUInt8(ifFalse, index * 8 + 3);
    bytes.writeUInt32LE(value, index * 8 + 4);
  }
  return bytes;
}

/** Jumps are counted from the next instruction on: each check leads to the last of the section, past those that follow it. */
function checkOf(calls: readonly number[], hasX32: boolean): Instruction[] {
  const checks: [code: number, value: number][] = calls.map((call) => [JUMP_IF_EQUAL, call]);
  if (hasX32) checks.unshift([JUMP_IF_NOT_LESS, X32_BIT]);
  return [
    [LOAD_WORD, 0, 0, NUMBER_OFFSET],
    ...checks.map(([code, value], index): Instruction => [code, checks.length - index, 0, value]),
    [RETURN, 0, 0, ALLOW],
    [RETURN, 0, 0, NO_SUCH_CALL],
  ];
}

import { TOLD_TO_STOP } from '../protocol/states.ts';

/**
 * PanDA's pilot error codes that this pilot reports (`pilot_error_code`); numbers and meanings are those of PanDA's own
 * pilot, so that its monitors show them rightly.
 */
export const PILOT_ERRORS = {
  noLocalSpace: 1098,
  stageInFailed: 1099,
  directoryTooLarge: 1104,
  setupFailure: 1110,
  outputTooLarge: 1124,
  stageOutFailed: 1137,
  killedByServer: 1144,
  missingOutput: 1165,
  sigterm: TOLD_TO_STOP,
  sigint: 1208,
  reachedMaxTime: 1213,
  payloadExceedsMemory: 1235,
  noUserTarball: 1246,
  payloadFailed: 1305,
  internalProblem: 1319,
  missingCredentials: 1364,
  badOutputName: 1371,
} as const;

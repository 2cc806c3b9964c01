/**
 * The processor time that this process takes from now on, in milliseconds: a limit of it holds also where the machine has much else
 * to do, which one by the clock does not.
 */
export function processorTime(): { milliseconds(): number } {
  const begun = process.cpuUsage();
  return {
    milliseconds() {
      const { user, system } = process.cpuUsage(begun);
      return (user + system) / 1000;
    },
  };
}

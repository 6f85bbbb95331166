/**
 * What the pool loads: CommonJS, because the pool first tries `require`. A thread that is ended
 * while `require` links an ES module aborts the whole process (Node 20: "IsGraphAsync must be used
 * on an instantiated module"); one that is ended during `import()` just ends.
 */
module.exports = async (start: unknown): Promise<void> => {
  const { default: shardTask } = await import('./shard.js');
  return shardTask(start as never);
};

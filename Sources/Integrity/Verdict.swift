/// What can be said of a chunk and the hashes that came with it.
public enum Verdict: Hashable, Sendable {
  /// The chunk is the one that the tree was made of.
  case genuine
  /// The chunk, or a hash that came with it, is not of this tree.
  case forged
  /// Hashes between the chunk and those that are known have not come.
  case hashesMissing
}

/// What is wrong with a topology, as one world showed it.
package struct Violation: Hashable, Sendable {
  /// What does not hold.
  package enum Rule: String, Hashable, Sendable, CaseIterable {
    // What manifests claim.
    case duplicates, loops, children, depth, repair
    // What every topology must do.
    /// Everybody is fed again when nothing goes wrong any more.
    case convergence
    /// Time passes between things that happen.
    case rest
    /// The same world goes the same way whatever the order of hash tables is.
    case order
    /// A plugin does not end its process, and comes to an end with each event.
    case trap, end
  }

  package var rule: Rule
  /// In nanoseconds since the world's beginning.
  package var time: Int64
  /// Without a full stop.
  package var sentence: String

  package init(_ rule: Rule, at time: Int64, _ sentence: String) {
    self.rule = rule
    self.time = time
    self.sentence = sentence
  }
}

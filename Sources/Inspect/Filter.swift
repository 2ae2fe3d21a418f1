/// What of a capture is shown.
public struct Filter: Hashable, Sendable {
  private var channel: UInt32?
  private var kinds: Set<MessageKind>
  private var problems: Set<Problem.Kind>
  private let isOpen: Bool

  /// Shows all, or one channel in both directions.
  public init(channel: UInt32? = nil) {
    self.channel = channel
    kinds = []
    problems = []
    isOpen = true
  }

  /// Shows messages by their names for programs; `pex` and `extension` are groups.
  ///
  /// - Throws: the name that is none.
  public init(channel: UInt32? = nil, only names: [String]) throws(UnknownName) {
    self.channel = channel
    var kinds: Set<MessageKind> = []
    var problems: Set<Problem.Kind> = []
    for name in names {
      let found = MessageKind.allCases.filter { kind in
        kind.rawValue == name || name == "pex" && kind.rawValue.hasPrefix("pex_")
          || name == "extension" && kind.isExtension
      }
      kinds.formUnion(found)
      let problem = Problem.Kind(rawValue: name)
      if let problem { problems.insert(problem) }
      guard !found.isEmpty || problem != nil else { throw UnknownName(name: name) }
    }
    self.kinds = kinds
    self.problems = problems
    isOpen = false
  }

  /// A name that no message has.
  public struct UnknownName: Error, Hashable {
    public let name: String
  }

  /// All names that there are.
  public static var names: [String] {
    MessageKind.allCases.map(\.rawValue) + ["pex"] + Problem.Kind.allCases.map(\.rawValue)
  }

  /// What is shown of a datagram; nil when that is nothing.
  public func apply(_ datagram: DatagramDescription) -> DatagramDescription? {
    if let channel {
      let source = Field("source_channel", .text(Figures.channel(channel)))
      let isOpening = datagram.messages.first?.fields.contains { field in
        field.name == source.name && field.value == source.value
      }
      guard datagram.channel == channel || datagram.opposite == channel || isOpening == true else {
        return nil
      }
    }
    guard !isOpen else { return datagram }
    var datagram = datagram
    datagram.messages.removeAll { !kinds.contains($0.kind) }
    if let problem = datagram.problem, !problems.contains(problem.kind) { datagram.problem = nil }
    return datagram.messages.isEmpty && datagram.problem == nil ? nil : datagram
  }
}

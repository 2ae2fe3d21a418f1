internal import JSON5
internal import Text

/// What the owner of a running broadcast can ask of it, over a socket of this machine: one line of JSON each way.
package enum Control {
  /// A request: `{"topology":"striped","parameters":"stripes=4"}`.
  package struct Request: Hashable, Sendable {
    package var topology: String
    package var parameters: String

    package init(topology: String, parameters: String) {
      self.topology = topology
      self.parameters = parameters
    }

    package var json: String {
      "{\"topology\":\(topology.quotedAsJSON),\"parameters\":\(parameters.quotedAsJSON)}"
    }

    /// Reads a line that anybody may have written; nil when it is no request.
    package init?(json: String) {
      guard let fields = Fields(json), let topology = fields.text("topology") else { return nil }
      self.topology = topology
      parameters = fields.text("parameters") ?? ""
    }
  }

  /// How a swap went, as its source and those next to it saw it; or why it did not begin, as a sentence.
  package enum Answer: Hashable, Sendable {
    case swapped(Outcome)
    case refused(String)

    package var json: String {
      switch self {
      case .refused(let sentence): "{\"error\":\(sentence.quotedAsJSON)}"
      case .swapped(let outcome): outcome.json
      }
    }

    package init?(json: String) {
      guard let fields = Fields(json) else { return nil }
      if let sentence = fields.text("error") {
        self = .refused(sentence)
      } else if let outcome = Outcome(fields) {
        self = .swapped(outcome)
      } else {
        return nil
      }
    }
  }

  package struct Outcome: Hashable, Sendable {
    package var epoch: UInt64
    package var topology: String
    package var parameters: String
    /// The first chunk that the new topology carried, and how long after the request it was out.
    package var from: UInt64
    package var afterMilliseconds: UInt64
    /// How many next to the source have said how it went for them; the rest is about these.
    package var neighbours: UInt64
    /// The longest time between two chunks at anybody's output.
    package var gapMilliseconds: UInt64
    package var lost: UInt64
    package var duplicates: UInt64

    fileprivate var json: String {
      "{\"epoch\":\(epoch),\"topology\":\(topology.quotedAsJSON),\"parameters\":\(parameters.quotedAsJSON),"
        + "\"from\":\(from),\"after_ms\":\(afterMilliseconds),\"neighbours\":\(neighbours),"
        + "\"gap_ms\":\(gapMilliseconds),\"lost\":\(lost),\"duplicate\":\(duplicates)}"
    }

    package init(
      epoch: UInt64,
      topology: String,
      parameters: String,
      from: UInt64,
      afterMilliseconds: UInt64,
      neighbours: UInt64,
      gapMilliseconds: UInt64,
      lost: UInt64,
      duplicates: UInt64
    ) {
      self.epoch = epoch
      self.topology = topology
      self.parameters = parameters
      self.from = from
      self.afterMilliseconds = afterMilliseconds
      self.neighbours = neighbours
      self.gapMilliseconds = gapMilliseconds
      self.lost = lost
      self.duplicates = duplicates
    }

    fileprivate init?(_ fields: Fields) {
      guard let epoch = fields.number("epoch"), let topology = fields.text("topology"),
        let parameters = fields.text("parameters"), let from = fields.number("from"),
        let after = fields.number("after_ms"), let neighbours = fields.number("neighbours"),
        let gap = fields.number("gap_ms"), let lost = fields.number("lost"),
        let duplicates = fields.number("duplicate")
      else { return nil }
      self.init(
        epoch: epoch,
        topology: topology,
        parameters: parameters,
        from: from,
        afterMilliseconds: after,
        neighbours: neighbours,
        gapMilliseconds: gap,
        lost: lost,
        duplicates: duplicates
      )
    }
  }
}

/// The keys of one JSON object.
private struct Fields {
  private let members: [Element.Member]

  init?(_ json: String) {
    guard let element = try? Element(Array(json.utf8)), case .object(let members) = element.kind else {
      return nil
    }
    self.members = members
  }

  func text(_ name: String) -> String? {
    guard case .string(let text)? = value(name) else { return nil }
    return text
  }

  func number(_ name: String) -> UInt64? {
    guard case .integer(let number)? = value(name) else { return nil }
    return UInt64(exactly: number)
  }

  private func value(_ name: String) -> Element.Kind? { members.first { $0.name == name }?.value.kind }
}

internal import JSON5
internal import PluginKit

extension Scenario.Happening {
  /// What can happen, with the keys that each takes beside `at`.
  private static let kinds: [(name: String, keys: [String])] = [
    ("crash", []), ("leave", ["over"]), ("arrive", ["over"]), ("partition", ["for"]), ("source", []),
    ("tide", ["period", "for"]), ("swap", []),
  ]

  /// Reads `{ at: "40 s", crash: "30 %" }` and its siblings.
  init(
    _ element: Element,
    file: String,
    r: UInt64,
    _ makeTopology: Experiment.MakeTopology?
  ) throws(FileError) {
    let names = Self.kinds.map(\.name)
    let fields = try Fields(
      element,
      noun: "an event",
      file: file,
      known: ["at"] + names + ["over", "for", "period"]
    )
    let given = Self.kinds.filter { fields[$0.name] != nil }
    guard given.count == 1, let (name, keys) = given.first else {
      throw fields.fail("an event has one of the keys \(names.joined(separator: ", "))")
    }
    for other in fields.names where other != "at" && other != name && !keys.contains(other) {
      throw fields.fail("the key '\(other)' does not go with '\(name)'", at: fields[other]?.position)
    }
    func time(_ name: String) throws(FileError) -> Duration {
      try fields.required(name) { element, reading throws(FileError) in try reading.time(element) }
    }
    func span(_ name: String) throws(FileError) -> Duration {
      try fields.required(name) { element, reading throws(FileError) in
        try reading.time(element, .milliseconds(1)...(.seconds(86_400)))
      }
    }
    func part() throws(FileError) -> Double {
      try fields.required(name) { element, reading throws(FileError) in try reading.part(element) }
    }
    let kind: Kind
    switch name {
    case "crash": kind = .crash(part: try part())
    case "leave": kind = .leave(part: try part(), over: try time("over"))
    case "arrive":
      kind = .arrive(
        count: try fields.required(name) { element, reading throws(FileError) in
          try reading.count(element, 1...Scenario.countLimit)
        },
        over: try time("over")
      )
    case "partition": kind = .partition(part: try part(), for: try span("for"))
    case "source":
      kind = .sourceUpload(
        try fields.required(name) { element, reading throws(FileError) in
          try reading.rate(element, r: r, allowsNone: true)
        }
      )
    case "swap":
      kind = .swap(
        to: try fields.required(name) { element, reading throws(FileError) in
          guard let part = Composition.Part(try reading.text(element)) else {
            throw reading.refuse(element, takes: "a topology like \"striped:stripes=4\"")
          }
          do throws(ParameterError) {
            _ = try makeTopology?(part.topology, part.parameters)
          } catch {
            throw reading.fail("\(error)", element)
          }
          return part
        }
      )
    default: kind = .tide(part: try part(), period: try span("period"), for: try span("for"))
    }
    self.init(at: try time("at"), kind)
  }

  /// When it is over.
  package var end: Duration {
    switch kind {
    case .crash, .sourceUpload, .swap: at
    case .leave(_, let time), .arrive(_, let time), .partition(_, let time), .tide(_, _, let time): at + time
    }
  }
}

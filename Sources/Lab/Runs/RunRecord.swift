internal import JSON5

/// One line of `runs.ndjson`, read back.
package struct RunRecord: Sendable {
  package let composition: String
  package let fidelity: Experiment.Fidelity
  package private(set) var run: ReportLine.Run
  private let film: [Int]?

  private static let keys = [
    "composition", "seed", "fidelity", "trace", "expected", "in_time", "late", "joins", "never_started",
    "arrivals", "duplicates", "chunk_bytes", "control_bytes", "source_chunks", "published", "overflowed",
    "requested", "repaired", "rejected", "calls", "bound", "split", "blame", "depths", "timeline", "delays",
    "starts", "peer_parts", "swaps", "film",
  ]

  /// Reads what `ReportLine.Run.json(composition:engine:)` wrote.
  package init(_ line: [UInt8], file: String) throws(FileError) {
    let root: Element
    do throws(SyntaxError) {
      root = try Element(line)
    } catch {
      throw FileError(error.reason, file: file, at: error.position)
    }
    let fields = try Fields(root, noun: "a run", file: file, known: Self.keys)
    composition = try fields.required("composition") { element, reading throws(FileError) in
      try reading.text(element, limit: 1000)
    }
    fidelity = try fields.required("fidelity") { element, reading throws(FileError) in
      try reading.choice(element, Experiment.Fidelity.self)
    }
    run = ReportLine.Run(
      seed: try fields.whole("seed"),
      measurement: try Measurement(fields),
      bound: try fields.required("bound") { element, reading throws(FileError) in
        let fields = try Fields(
          element,
          noun: reading.name,
          file: reading.file,
          known: ["half", "most", "all", "rate"]
        )
        return ReportLine.Bound(
          half: try fields.time("half"),
          most: try fields.time("most"),
          all: try fields.time("all"),
          rate: try fields.required("rate") { element, reading throws(FileError) in
            try reading.number(element, 0...1e18)
          }
        )
      }
    )
    film = try fields.value("film", otherwise: nil) { element, reading throws(FileError) in
      if case .null = element.kind { return nil }
      return try reading.wholes(element, -3...86_400_000)
    }
  }

  /// The run with its film, when it has one that fits the scenario.
  package func run(in scenario: Scenario) -> ReportLine.Run {
    var run = run
    guard let film else { return run }
    let plan = Plan(scenario, seed: run.seed)
    run.film = TreeFilm.changes(film, peers: plan.peers.count).map {
      TreeFilm(composition, plan, changes: $0)
    }
    return run
  }
}

extension Measurement {
  fileprivate init(_ fields: Fields) throws(FileError) {
    self.init()
    expected = try fields.whole("expected")
    inTime = try fields.whole("in_time")
    late = try fields.whole("late")
    joins = try fields.whole("joins")
    neverStarted = try fields.whole("never_started")
    arrivals = try fields.whole("arrivals")
    duplicates = try fields.whole("duplicates")
    chunkBytes = try fields.whole("chunk_bytes")
    controlBytes = try fields.whole("control_bytes")
    sourceChunks = try fields.whole("source_chunks")
    published = try fields.whole("published")
    overflowed = try fields.whole("overflowed")
    requested = try fields.whole("requested")
    repaired = try fields.whole("repaired")
    rejected = try fields.whole("rejected")
    calls = try fields.whole("calls")
    trace = try fields.required("trace") { element, reading throws(FileError) in
      guard let hash = UInt64(try reading.text(element, limit: 16), radix: 16) else {
        throw reading.refuse(element, takes: "sixteen hexadecimal digits")
      }
      return hash
    }
    split = try fields.required("split") { element, reading throws(FileError) in
      try DelaySplit(element, reading)
    }
    blame = try fields.required("blame") { element, reading throws(FileError) in
      let causes = Blame.allCases
      let fields = try Fields(element, noun: "blame", file: reading.file, known: causes.map(\.rawValue))
      var counts: [Blame: UInt64] = [:]
      for cause in causes { counts[cause] = try fields.whole(cause.rawValue) }
      return counts
    }
    depths = try fields.required("depths") { element, reading throws(FileError) in
      try reading.wholes(element, 0...Int(UInt32.max)).map { UInt32($0) }
    }
    timeline = try fields.required("timeline") { element, reading throws(FileError) in
      try reading.pairs(element).map { pair in
        var second = Second()
        second.expected = UInt64(pair.0)
        second.inTime = UInt64(pair.1)
        return second
      }
    }
    delays = try fields.required("delays", DelayHistogram.init)
    starts = try fields.required("starts", DelayHistogram.init)
    peerParts = try fields.required("peer_parts") { element, reading throws(FileError) in
      var parts: [Float] = []
      for element in try reading.elements(element) { parts.append(Float(try reading.number(element, 0...1))) }
      return parts
    }
    swaps = try fields.value("swaps", otherwise: []) { element, reading throws(FileError) in
      var swaps: [Swap] = []
      for element in try reading.elements(element) { swaps.append(try Swap(element, reading)) }
      return swaps
    }
  }
}

extension Measurement.Swap {
  fileprivate init(_ element: Element, _ reading: Reading) throws(FileError) {
    let known = ["topology", "at", "lost", "duplicates", "gaps"]
    let fields = try Fields(element, noun: "a swap", file: reading.file, known: known)
    self.init(
      try fields.required("topology") { element, reading throws(FileError) in
        try reading.text(element, limit: 1100)
      },
      at: try fields.signed("at")
    )
    lost = try fields.whole("lost")
    duplicates = try fields.whole("duplicates")
    gaps = try fields.required("gaps", DelayHistogram.init)
  }
}

extension Measurement.DelaySplit {
  fileprivate init(_ element: Element, _ reading: Reading) throws(FileError) {
    let known = ["deliveries", "serialisation", "propagation", "queue", "request", "repair", "hops"]
    let fields = try Fields(element, noun: reading.name, file: reading.file, known: known)
    self.init()
    deliveries = try fields.whole("deliveries")
    serialisation = try fields.signed("serialisation")
    propagation = try fields.signed("propagation")
    queue = try fields.signed("queue")
    request = try fields.signed("request")
    repair = try fields.signed("repair")
    hops = try fields.whole("hops")
  }
}

extension DelayHistogram {
  fileprivate init(_ element: Element, _ reading: Reading) throws(FileError) {
    let known = ["greatest", "mean", "points"]
    let fields = try Fields(element, noun: reading.name, file: reading.file, known: known)
    let points = try fields.required("points") { element, reading throws(FileError) in
      try reading.pairs(element)
    }
    guard
      let times = DelayHistogram(
        cumulative: points.map { (time: Int64($0.0), count: UInt64($0.1)) },
        greatest: try fields.signed("greatest"),
        mean: try fields.required("mean") { element, reading throws(FileError) in
          try reading.number(element, 0...1e18)
        }
      )
    else { throw reading.refuse(element, takes: "times and how many did not exceed them, ascending") }
    self = times
  }
}

extension Fields {
  fileprivate func signed(_ name: String) throws(FileError) -> Int64 {
    try required(name) { element, reading throws(FileError) in
      Int64(try reading.count(element, Int.min...Int.max))
    }
  }

  fileprivate func whole(_ name: String) throws(FileError) -> UInt64 {
    try required(name) { element, reading throws(FileError) in
      UInt64(try reading.count(element, 0...Int.max))
    }
  }

  /// A time in nanoseconds, or null.
  fileprivate func time(_ name: String) throws(FileError) -> Int64? {
    try required(name) { element, reading throws(FileError) in
      if case .null = element.kind { return nil }
      return Int64(try reading.count(element, 0...Int.max))
    }
  }
}

extension Reading {
  /// A list that may be empty.
  fileprivate func elements(_ element: Element) throws(FileError) -> [Element] {
    guard case .array(let elements) = element.kind else { throw refuse(element, takes: "a list") }
    return elements
  }

  fileprivate func wholes(_ element: Element, _ range: ClosedRange<Int>) throws(FileError) -> [Int] {
    var numbers: [Int] = []
    for element in try elements(element) { numbers.append(try count(element, range)) }
    return numbers
  }

  fileprivate func pairs(_ element: Element) throws(FileError) -> [(Int, Int)] {
    var pairs: [(Int, Int)] = []
    for element in try elements(element) {
      let pair = try wholes(element, 0...Int.max)
      guard pair.count == 2 else { throw refuse(element, takes: "pairs of numbers") }
      pairs.append((pair[0], pair[1]))
    }
    return pairs
  }
}

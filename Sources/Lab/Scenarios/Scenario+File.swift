internal import JSON5
internal import PluginKit

extension Scenario {
  /// The most peers, groups, rows of a matrix, lives of a trace and events in a scenario.
  package static let countLimit = 1_000_000
  private static let groupLimit = 32
  private static let rowLimit = 1000
  private static let traceLimit = 100_000
  private static let eventLimit = 1000

  /// Reads a scenario's file, in JSON5; the scenarios that ship show what can be written.
  ///
  /// `file` is for sentences about it, and without folder and ending the scenario's name. What it changes the topology
  /// to is tried where it is known how topologies are made.
  package init(
    _ bytes: [UInt8],
    file: String,
    makeTopology: Experiment.MakeTopology? = nil
  ) throws(FileError) {
    let root: Element
    do throws(SyntaxError) {
      root = try Element(bytes)
    } catch {
      throw FileError(error.reason, file: file, at: error.position)
    }
    let known = [
      "summary", "stream", "source", "peers", "groups", "latency", "weather", "churn", "phases", "events",
    ]
    let fields = try Fields(root, noun: "a scenario", file: file, known: known)
    let stream = try fields.value("stream", otherwise: Stream(), Self.stream)
    let r = stream.rate
    let phases = try fields.value("phases", otherwise: Phases(), Self.phases)
    self.init(
      name: Self.name(of: file),
      summary: try fields.value("summary", otherwise: "") { element, reading throws(FileError) in
        try reading.text(element)
      },
      stream: stream,
      source: try fields.required("source") { element, reading throws(FileError) in
        let fields = try Fields(element, noun: "the source", file: reading.file, known: Self.accessKeys)
        return try Self.access(fields, r)
      },
      groups: try fields.required("groups") { element, reading throws(FileError) in
        try Self.groups(element, reading, r)
      },
      count: try fields.required("peers") { element, reading throws(FileError) in
        try reading.count(element, 1...Self.countLimit)
      },
      latency: try fields.value(
        "latency",
        otherwise: .disc(least: .milliseconds(10), greatest: .milliseconds(60)),
        Self.latency
      ),
      weather: try fields.value("weather", otherwise: Weather(), Self.weather),
      churn: try fields.value("churn", otherwise: nil, Self.churn),
      phases: phases,
      happenings: try fields.value("events", otherwise: []) { element, reading throws(FileError) in
        try Self.happenings(element, reading, r, end: phases.end, makeTopology)
      }
    )
  }

  /// A file's name without folder and ending.
  private static func name(of file: String) -> String {
    let last = file.split(separator: "/").last.map(String.init) ?? file
    return last.hasSuffix(".json5") ? String(last.dropLast(6)) : last
  }

  private static func stream(_ element: Element, _ reading: Reading) throws(FileError) -> Stream {
    let known = ["rate", "chunk", "window", "deadline", "entries"]
    let fields = try Fields(element, noun: "the stream", file: reading.file, known: known)
    var stream = Stream()
    stream.rate = try fields.value("rate", otherwise: stream.rate) { element, reading throws(FileError) in
      let rate = try reading.rate(element, r: nil)
      guard 1000...1_000_000_000 ~= rate else {
        throw reading.refuse(element, takes: "1 kbit/s to 1000 Mbit/s")
      }
      return rate
    }
    stream.chunkSize = try fields.value("chunk", otherwise: stream.chunkSize) {
      element,
      reading throws(FileError) in
      try reading.size(element, 100...1_048_576)
    }
    let seconds = Duration.milliseconds(100)...(.seconds(3600))
    func time(_ name: String, _ standard: Duration) throws(FileError) -> Duration {
      try fields.value(name, otherwise: standard) { element, reading throws(FileError) in
        try reading.time(element, seconds)
      }
    }
    stream.window = try time("window", stream.window)
    stream.deadline = try time("deadline", stream.deadline)
    stream.entryEvery = try time("entries", stream.entryEvery)
    guard stream.deadline <= stream.window else {
      throw fields.fail("the deadline is longer than the window: nobody could have the chunk any more")
    }
    return stream
  }

  private static let accessKeys = ["upload", "download", "queue", "nat"]

  private static func access(_ fields: Fields, _ r: UInt64) throws(FileError) -> Access {
    func rate(_ element: Element, _ reading: Reading) throws(FileError) -> UInt64 {
      try reading.rate(element, r: r, allowsNone: true)
    }
    return Access(
      upload: try fields.required("upload", rate),
      download: try fields.value("download", otherwise: 0, rate),
      queue: try fields.value("queue", otherwise: .milliseconds(500)) { element, reading throws(FileError) in
        try reading.time(element, .milliseconds(1)...(.seconds(60)))
      },
      nat: try fields.value("nat", otherwise: .open) { element, reading throws(FileError) in
        try reading.choice(element, Access.NAT.self)
      }
    )
  }

  private static func groups(_ element: Element, _ reading: Reading, _ r: UInt64) throws(FileError) -> [Group]
  {
    var groups: [Group] = []
    for element in try reading.list(element, limit: groupLimit) {
      let known = ["name", "share"] + accessKeys + ["behaviour", "relays"]
      let fields = try Fields(element, noun: "a group", file: reading.file, known: known)
      groups.append(
        Group(
          name: try fields.value("name", otherwise: "peers") { element, reading throws(FileError) in
            try reading.text(element, limit: 40)
          },
          share: try fields.value("share", otherwise: 1) { element, reading throws(FileError) in
            try reading.part(element)
          },
          access: try access(fields, r),
          behaviour: try fields.value("behaviour", otherwise: .honest) { element, reading throws(FileError) in
            try reading.choice(element, Behaviour.self)
          },
          relays: try fields.value("relays", otherwise: true) { element, reading throws(FileError) in
            try reading.boolean(element)
          }
        )
      )
    }
    let sum = groups.reduce(0) { $0 + $1.share }
    guard abs(sum - 1) < 1e-6 else {
      let percent = (sum * 1000).rounded() / 10
      throw reading.fail("the shares of the groups add up to \(percent) %, and it must be 100 %", element)
    }
    return groups
  }

  private static func latency(_ element: Element, _ reading: Reading) throws(FileError) -> Latency {
    let fields = try Fields(
      element,
      noun: "the latency",
      file: reading.file,
      known: ["least", "greatest", "matrix"]
    )
    func way(_ element: Element, _ reading: Reading) throws(FileError) -> Duration {
      try reading.time(element, .zero ... .seconds(10))
    }
    guard fields["matrix"] != nil else {
      let least = try fields.required("least", way)
      let greatest = try fields.required("greatest", way)
      guard least <= greatest else { throw fields.fail("the least latency is greater than the greatest") }
      return .disc(least: least, greatest: greatest)
    }
    guard fields.names == ["matrix"] else {
      throw fields.fail("a matrix of latencies takes the place of least and greatest; leave one out")
    }
    let rows = try fields.required("matrix") { element, reading throws(FileError) in
      let lines = try reading.list(element, limit: rowLimit)
      var rows: [[Duration]] = []
      for line in lines {
        let cells = try reading.list(line, limit: rowLimit)
        guard cells.count == lines.count else {
          throw reading.fail(
            "this row of the matrix has \(cells.count) entries, and there are \(lines.count) rows",
            line
          )
        }
        var row: [Duration] = []
        for cell in cells { row.append(try way(cell, reading)) }
        rows.append(row)
      }
      return rows
    }
    return .matrix(rows)
  }

  private static func weather(_ element: Element, _ reading: Reading) throws(FileError) -> Weather {
    let fields = try Fields(
      element,
      noun: "the weather",
      file: reading.file,
      known: ["loss", "burst", "jitter"]
    )
    return Weather(
      loss: try fields.value("loss", otherwise: 0) { element, reading throws(FileError) in
        try reading.part(element)
      },
      burst: try fields.value("burst", otherwise: 1) { element, reading throws(FileError) in
        try reading.number(element, 1...1000)
      },
      jitter: try fields.value("jitter", otherwise: .zero) { element, reading throws(FileError) in
        try reading.time(element, .zero ... .seconds(1))
      }
    )
  }

  private static func churn(_ element: Element, _ reading: Reading) throws(FileError) -> Churn? {
    if case .null = element.kind { return nil }
    let fields = try Fields(
      element,
      noun: "the churn",
      file: reading.file,
      known: ["life", "graceful", "replaced"]
    )
    return Churn(
      life: try fields.required("life", life),
      graceful: try fields.value("graceful", otherwise: 0) { element, reading throws(FileError) in
        try reading.part(element)
      },
      isReplaced: try fields.value("replaced", otherwise: true) { element, reading throws(FileError) in
        try reading.boolean(element)
      }
    )
  }

  private static func life(_ element: Element, _ reading: Reading) throws(FileError) -> Churn.Life {
    let kinds = ["exponential", "pareto", "lognormal", "trace"]
    let fields = try Fields(element, noun: "a life", file: reading.file, known: kinds + ["shape", "sigma"])
    let given = kinds.filter { fields[$0] != nil }
    guard given.count == 1, let kind = given.first else {
      throw fields.fail("a life has one of the keys \(kinds.joined(separator: ", "))")
    }
    let extra: [String: String] = ["pareto": "shape", "lognormal": "sigma"]
    for name in fields.names where name != kind && name != extra[kind] {
      throw fields.fail("the key '\(name)' does not go with '\(kind)'", at: fields[name]?.position)
    }
    func typical(_ element: Element, _ reading: Reading) throws(FileError) -> Duration {
      try reading.time(element, .seconds(1)...Churn.longestLife)
    }
    switch kind {
    case "exponential": return .exponential(mean: try fields.required(kind, typical))
    case "pareto":
      return .pareto(
        mean: try fields.required(kind, typical),
        shape: try fields.required("shape") { element, reading throws(FileError) in
          try reading.number(element, 1.01...100)
        }
      )
    case "lognormal":
      return .lognormal(
        median: try fields.required(kind, typical),
        sigma: try fields.required("sigma") { element, reading throws(FileError) in
          try reading.number(element, 0.01...5)
        }
      )
    default:
      return .trace(
        try fields.required("trace") { element, reading throws(FileError) in
          var lives: [Duration] = []
          for life in try reading.list(element, limit: traceLimit) {
            lives.append(try reading.time(life, .seconds(1)...Churn.longestLife))
          }
          return lives
        }
      )
    }
  }

  private static func phases(_ element: Element, _ reading: Reading) throws(FileError) -> Phases {
    let fields = try Fields(
      element,
      noun: "the phases",
      file: reading.file,
      known: ["ramp", "settle", "measure", "drain"]
    )
    func time(_ name: String, _ standard: Duration, least: Duration = .zero) throws(FileError) -> Duration {
      try fields.value(name, otherwise: standard) { element, reading throws(FileError) in
        try reading.time(element, least...(.seconds(86_400)))
      }
    }
    let standard = Phases()
    return Phases(
      ramp: try time("ramp", standard.ramp),
      settle: try time("settle", standard.settle),
      measure: try time("measure", standard.measure, least: .seconds(1)),
      drain: try time("drain", standard.drain)
    )
  }

  private static func happenings(
    _ element: Element,
    _ reading: Reading,
    _ r: UInt64,
    end: Duration,
    _ makeTopology: Experiment.MakeTopology?
  ) throws(FileError) -> [Happening] {
    if case .array([]) = element.kind { return [] }
    var happenings: [Happening] = []
    var cutUntil = Duration.zero
    for element in try reading.list(element, limit: eventLimit) {
      let happening = try Happening(element, file: reading.file, r: r, makeTopology)
      guard happening.at < end, happening.end <= end else {
        throw reading.fail(
          "this event is not over at \(Reading.text(end)), when the last phase ends",
          element
        )
      }
      if case .partition = happening.kind {
        guard happening.at >= cutUntil else {
          throw reading.fail("this partition begins before the one before it has healed", element)
        }
        cutUntil = happening.end
      }
      if let last = happenings.last, happening.at < last.at {
        throw reading.fail("this event happens before the one that is written before it", element)
      }
      happenings.append(happening)
    }
    return happenings
  }
}

internal import PluginKit

/// What a world is like and what happens in it, whatever topology runs there and whatever the seed is.
package struct Scenario: Hashable, Sendable {
  /// As files and reports name it.
  package var name: String
  /// What it is there to find out, in one sentence.
  package var summary: String
  package var stream: Stream
  package var source: Access
  /// The kinds of peers; their shares add up to 1.
  package var groups: [Group]
  /// How many peers there are at the end of the ramp, without the source.
  package var count: Int
  package var latency: Latency
  package var weather: Weather
  package var churn: Churn?
  package var phases: Phases
  /// What happens on top, in the order of time.
  package var happenings: [Happening]

  package init(
    name: String,
    summary: String = "",
    stream: Stream = Stream(),
    source: Access,
    groups: [Group],
    count: Int,
    latency: Latency = .disc(least: .milliseconds(10), greatest: .milliseconds(60)),
    weather: Weather = Weather(),
    churn: Churn? = nil,
    phases: Phases = Phases(),
    happenings: [Happening] = []
  ) {
    self.name = name
    self.summary = summary
    self.stream = stream
    self.source = source
    self.groups = groups
    self.count = count
    self.latency = latency
    self.weather = weather
    self.churn = churn
    self.phases = phases
    self.happenings = happenings
  }

  /// Gives the stream another rate, and changes all uploads and downloads in proportion: the world stays what it was in
  /// multiples of the rate.
  package mutating func scale(to rate: UInt64) {
    let factor = Double(rate) / Double(max(1, stream.rate))
    func scaled(_ value: UInt64) -> UInt64 { UInt64((Double(value) * factor).rounded()) }
    stream.rate = rate
    source.upload = scaled(source.upload)
    source.download = scaled(source.download)
    for index in groups.indices {
      groups[index].access.upload = scaled(groups[index].access.upload)
      groups[index].access.download = scaled(groups[index].access.download)
    }
    for index in happenings.indices {
      guard case .sourceUpload(let upload) = happenings[index].kind else { continue }
      happenings[index].kind = .sourceUpload(scaled(upload))
    }
  }

  /// Whether the swarm is to change its topology.
  package var changesTopology: Bool {
    happenings.contains { if case .swap = $0.kind { true } else { false } }
  }

  /// The stream that is broadcast.
  package struct Stream: Hashable, Sendable {
    /// Bits of payload per second: the `r` of all bounds.
    package var rate: UInt64
    /// Bytes in a chunk.
    package var chunkSize: Int
    /// How long a chunk is kept: the live discard window.
    package var window: Duration
    /// A chunk counts as delivered when it comes within this time of its publishing.
    package var deadline: Duration
    /// A decoder can begin once in this time.
    package var entryEvery: Duration

    package init(
      rate: UInt64 = 2_000_000,
      chunkSize: Int = 1316,
      window: Duration = .seconds(5),
      deadline: Duration = .seconds(3),
      entryEvery: Duration = .seconds(1)
    ) {
      self.rate = rate
      self.chunkSize = chunkSize
      self.window = window
      self.deadline = deadline
      self.entryEvery = entryEvery
    }

    /// The time between two chunks.
    package var interval: Duration { .nanoseconds(Int64(UInt64(chunkSize) * 8_000_000_000 / max(1, rate))) }
    /// How many chunks the window holds.
    package var windowSize: UInt64 { UInt64(max(1, window.nanoseconds / max(1, interval.nanoseconds))) }
  }

  /// Peers of one kind.
  package struct Group: Hashable, Sendable {
    package var name: String
    /// Which part of all peers, 0 to 1.
    package var share: Double
    package var access: Access
    package var behaviour: Behaviour
    /// Whether they pass on what they get; else they only watch.
    package var relays: Bool

    package init(
      name: String = "peers",
      share: Double = 1,
      access: Access,
      behaviour: Behaviour = .honest,
      relays: Bool = true
    ) {
      self.name = name
      self.share = share
      self.access = access
      self.behaviour = behaviour
      self.relays = relays
    }
  }

  /// How a run is divided; chunks count that are published while it is measured.
  package struct Phases: Hashable, Sendable {
    /// Peers arrive at random, none more likely early than late; zero: all at once.
    package var ramp: Duration
    package var settle: Duration
    package var measure: Duration
    /// What is under way may still arrive; nothing is published any more.
    package var drain: Duration

    package init(
      ramp: Duration = .seconds(10),
      settle: Duration = .seconds(10),
      measure: Duration = .seconds(60),
      drain: Duration = .seconds(5)
    ) {
      self.ramp = ramp
      self.settle = settle
      self.measure = measure
      self.drain = drain
    }

    /// When chunks begin and cease to count.
    package var measured: Range<Duration> { ramp + settle..<ramp + settle + measure }
    package var end: Duration { ramp + settle + measure + drain }
  }

  /// Something that happens at a time.
  package struct Happening: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
      /// This part of all peers goes at once without a word.
      case crash(part: Double)
      /// This part leaves properly, one after the other, within the time given.
      case leave(part: Double, over: Duration)
      /// So many more peers arrive within the time given.
      case arrive(count: Int, over: Duration)
      /// This part of all peers is cut off from the rest, the source's side, for the time given.
      case partition(part: Double, for: Duration)
      /// The source's upload changes to this many bits per second.
      case sourceUpload(UInt64)
      /// So many peers, as a part of ``Scenario/count``, come and go again as a sine with this period, for the time given.
      case tide(part: Double, period: Duration, for: Duration)
      /// The source changes the topology of the swarm.
      case swap(to: Composition.Part)
    }

    package var at: Duration
    package var kind: Kind

    package init(at: Duration, _ kind: Kind) {
      self.at = at
      self.kind = kind
    }
  }
}

internal import Glibc
package import Lab
internal import Net
internal import PluginKit

/// A plan with real peers: processes and sockets, in the namespaces of a testbed.
///
/// Each peer is `freshet broadcast` or `freshet join`, started when the plan says that it joins. What leaves it passes a
/// token bucket with the plan's upload; losses that know nothing of each other are made by its firewall, bursts of them,
/// delays and partitions by the emulated network. Figures mean what they mean in ``PacketRun``.
package struct EmulatedRun {
  /// What one run showed, and whether it counts.
  package struct Outcome: Sendable {
    package var measurement: Measurement
    /// The part of their time that all processors were busy, 0 to 1.
    package var busy: Double
    /// Peers that ended before they should, each as a sentence; at most ``complaintLimit``.
    package var complaints: [String]
  }

  /// How the peers' program is called.
  package struct Program: Sendable {
    package var path: String
    /// Libraries of plugins beside the built-in ones.
    package var plugins: [String]

    package init(path: String, plugins: [String] = []) {
      self.path = path
      self.plugins = plugins
    }
  }

  package static let complaintLimit = 5
  /// How long the source may take to print its link.
  private static let linkPatience = Duration.seconds(20)
  /// What peers may take to end.
  private static let endPatience = Duration.seconds(2)
  /// The fewest chunks of a window that a broadcast has.
  private static let leastWindow: Int64 = 257

  private enum Event {
    case join(Int)
    case go(Int)
    case change(Plan.Change.Kind)
    case endOfStream
    case look
  }

  /// What leaves the namespaces.
  private final class Traffic {
    var chunkBytes: UInt64 = 0
    var controlBytes: UInt64 = 0
    var sourceChunks: UInt64 = 0
  }

  private let plan: Plan
  private let part: Composition.Part
  private let program: Program
  /// For the files of this run.
  private let folder: String
  private let traffic = Traffic()

  /// A scenario as real peers can take part in it.
  ///
  /// - Throws: `EmulationError` for what cannot be emulated.
  package static func prepared(_ scenario: Scenario) throws(EmulationError) -> Scenario {
    var scenario = scenario
    let stream = scenario.stream
    guard stream.chunkSize % 188 == 0, 188...1316 ~= stream.chunkSize else {
      throw EmulationError(
        "chunks of \(stream.chunkSize) bytes cannot be broadcast: "
          + "in an emulation they are a multiple of 188 up to 1316"
      )
    }
    guard 1_000...1_000_000_000 ~= stream.rate else {
      throw EmulationError(
        "a stream of \(stream.rate) bit/s cannot be emulated, only 1 kbit/s to 1 Gbit/s"
      )
    }
    if let group = scenario.groups.first(where: { $0.behaviour == .liar && $0.share > 0 }) {
      throw EmulationError("real peers do not lie: the peers '\(group.name)' can only be simulated")
    }
    guard scenario.groups.allSatisfy({ $0.access.download == 0 }), scenario.source.download == 0 else {
      throw EmulationError("limits of downloads cannot be emulated: leave 'download' out")
    }
    // As the product has it, so that what is simulated beside it has it too.
    scenario.stream.window = max(stream.window, .seconds(1), stream.interval * Int(leastWindow))
    return scenario
  }

  /// - Parameters:
  ///   - plan: of a scenario that is ``prepared(_:)``.
  ///   - composition: with one part.
  ///   - program: the peers'.
  ///   - folder: a new one; gone again after a run that went well.
  /// - Throws: `EmulationError` for what cannot be emulated.
  package init(
    _ plan: Plan,
    _ composition: Composition,
    _ program: Program,
    folder: String
  ) throws(EmulationError) {
    guard let part = composition.parts.first, composition.parts.count == 1 else {
      throw EmulationError(
        "'\(composition.name)': all peers of a real swarm run the topology that its source announces, not several"
      )
    }
    guard plan.peers.count <= Testbed.limit else {
      throw EmulationError(
        "\(plan.peers.count - 1) peers come in all, and at most \(Testbed.limit - 1) can be emulated: "
          + "write fewer with --peers"
      )
    }
    self.plan = plan
    self.part = part
    self.program = program
    self.folder = folder
  }

  /// Runs the plan in real time.
  ///
  /// - Parameters:
  ///   - testbed: with at least as many hosts as the plan has peers.
  ///   - progress: hears every second which part is done.
  /// - Returns: what it showed; `nil` when SIGINT or SIGTERM came.
  /// - Throws: `EmulationError`, `NetError`.
  package func run(on testbed: inout Testbed, progress: (_ part: Double) -> Void) throws -> Outcome? {
    try prepare(&testbed)
    guard unsafe mkdir(folder, 0o777) == 0 else {
      throw EmulationError("\(folder) cannot be made: \(text(of: errno))")
    }
    var seats: [Int: Child] = [:]
    var logs = Logs()
    defer { end(Array(seats.values)) }
    guard let (source, link) = try startSource(&testbed, &logs) else { return nil }
    seats[0] = source
    let clock = testbed.emulation.clock
    let start = clock.now
    let origin = clock.origin &+ start.nanoseconds
    let before = ProcessorTime.now()
    var complaints: [String] = []
    var leaving: Set<Int> = []
    var swaps: [Swapping] = []
    defer { end(swaps.map(\.child)) }
    for (time, event) in events {
      if try testbed.emulation.run(until: start + time) { return nil }
      switch event {
      case .join(let index): seats[index] = try startViewer(index, link, testbed, &logs)
      case .go(let index):
        leaving.insert(index)
        seats[index]?.signal(plan.peers[index].isGraceful ? SIGINT : SIGKILL)
      case .change(.swap(let part)): swaps.append(try swap(to: part, testbed))
      case .change(let kind): try apply(kind, &testbed)
      case .endOfStream:
        leaving.formUnion(seats.keys)
        seats[0]?.signal(SIGINT)
      case .look:
        progress(min(1, time / plan.scenario.phases.end))
        swaps.removeAll { swap in
          guard let status = swap.child.status else { return false }
          if status != 0, complaints.count < Self.complaintLimit {
            let said = swap.errors.lastLine ?? "exit status \(status)"
            complaints.append("the swap to '\(swap.topology)': \(said)")
          }
          return true
        }
        for (index, child) in seats {
          guard let status = child.status else { continue }
          seats[index] = nil
          guard !leaving.contains(index) else { continue }
          let said = logs.lastLine(of: index) ?? "exit status \(status)"
          guard index > 0 else { throw EmulationError("the source ended early: \(said)") }
          if complaints.count < Self.complaintLimit {
            complaints.append("peer \(index) ended early: \(said)")
          }
        }
      }
    }
    let busy = before.flatMap { before in ProcessorTime.now().map { $0.busyPart(since: before) } } ?? 0
    // Everybody writes a last line.
    for child in seats.values { child.signal(SIGINT) }
    if try testbed.emulation.run(until: clock.now + .milliseconds(500)) { return nil }
    end(Array(seats.values))
    seats = [:]
    var measurement = self.measurement(origin: origin)
    measurement.overflowed = testbed.spaces.prefix(plan.peers.count).reduce(0) { $0 + $1.overflowed() }
    removeFiles()
    return Outcome(measurement: measurement, busy: busy, complaints: complaints)
  }

  // MARK: The network

  private func prepare(_ testbed: inout Testbed) throws {
    let weather = plan.scenario.weather
    var network = EmulatedNetwork(Path(), seed: plan.seed)
    for (index, space) in testbed.spaces.enumerated() { precondition(network.add([space.address]) == index) }
    for (index, peer) in plan.peers.enumerated() {
      let space = testbed.spaces[index]
      let rate = peer.behaviour == .slow ? max(1, peer.access.upload / 10) : peer.access.upload
      network.setLineRate(rate, of: index)
      try space.limit(to: rate, queue: peer.access.queue)
      try space.filter(
        NetworkSpace.Filter(
          loss: weather.burst > 1 ? 0 : weather.loss,
          isRestricted: peer.access.nat == .restricted,
          longest: peer.behaviour == .freeRider ? plan.scenario.stream.chunkSize : nil
        )
      )
    }
    testbed.emulation.network = network
    setPaths(cutting: [], &testbed)
    let chunkSize = plan.scenario.stream.chunkSize
    testbed.emulation.observer = { [traffic] packet, from in
      // Nothing else is as long as a whole chunk.
      guard packet.count - SimulatedLink.headers >= chunkSize else {
        traffic.controlBytes += UInt64(packet.count)
        return
      }
      traffic.chunkBytes += UInt64(packet.count)
      if from == 0 { traffic.sourceChunks += 1 }
    }
  }

  /// Lets every way be as the plan says, but that none leads into `cut` or out of it.
  private func setPaths(cutting cut: Set<Int>, _ testbed: inout Testbed) {
    let weather = plan.scenario.weather
    for from in plan.peers.indices {
      for to in plan.peers.indices where from != to {
        testbed.emulation.network[from, to] =
          cut.contains(from) != cut.contains(to)
          ? .cut
          : Path(
            delay: .nanoseconds(plan.latency(from, to)),
            jitter: weather.jitter,
            loss: weather.burst > 1 ? weather.loss : 0,
            burst: weather.burst
          )
      }
    }
  }

  private func apply(_ kind: Plan.Change.Kind, _ testbed: inout Testbed) throws {
    switch kind {
    case .cut(let members): setPaths(cutting: Set(members), &testbed)
    case .heal: setPaths(cutting: [], &testbed)
    case .sourceUpload(let rate):
      try testbed.spaces[0].limit(to: rate, queue: plan.peers[0].access.queue)
      testbed.emulation.network.setLineRate(rate, of: 0)
    // Only the worlds of checks have weather that changes, and those are not emulated.
    // The source is told by its socket.
    case .weather, .swap: break
    }
  }

  /// A `freshet topology` that waits until the swarm has changed.
  private final class Swapping {
    let topology: String
    let child: Child
    let errors: Scratch

    init(_ topology: String, _ child: Child, _ errors: consuming Scratch) {
      self.topology = topology
      self.child = child
      self.errors = errors
    }
  }

  private func swap(to part: Composition.Part, _ testbed: borrowing Testbed) throws -> Swapping {
    let errors = try Scratch()
    let port = testbed.spaces[0].address.port.map { ["--port", String($0)] } ?? []
    let child = try Child.start(
      program.path,
      ["topology", part.text] + port,
      Child.Streams(errors: errors.descriptor)
    )
    return Swapping(part.text, child, errors)
  }

  // MARK: The peers

  /// All that happens, in the order of time.
  private var events: [(time: Duration, event: Event)] {
    let phases = plan.scenario.phases
    var events: [(time: Duration, event: Event)] = []
    for (index, peer) in plan.peers.enumerated() where index > 0 {
      events.append((peer.joins, .join(index)))
      if let goes = peer.goes, goes < phases.end { events.append((goes, .go(index))) }
    }
    for change in plan.changes { events.append((change.at, .change(change.kind))) }
    events.append((phases.measured.upperBound, .endOfStream))
    var time = Duration.zero
    while time < phases.end {
      time = min(time + .seconds(1), phases.end)
      events.append((time, .look))
    }
    return events.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }.map(
      \.element
    )
  }

  /// What peers say when something goes wrong.
  private struct Logs: ~Copyable {
    private var files: [Int: Box] = [:]

    private final class Box {
      let file: Scratch
      init(_ file: consuming Scratch) { self.file = file }
    }

    mutating func add(_ index: Int) throws(EmulationError) -> Int32 {
      let box = Box(try Scratch())
      files[index] = box
      return box.file.descriptor
    }

    func lastLine(of index: Int) -> Substring? { files[index]?.file.lastLine }
  }

  private func startSource(_ testbed: inout Testbed, _ logs: inout Logs) throws -> (Child, String)? {
    let stream = plan.scenario.stream
    let output = try Scratch()
    let arguments =
      [
        "broadcast", "null:\(stream.rate)", "--topology", part.text, "--chunk-size", "\(stream.chunkSize)",
        "--window", "\(stream.window.nanoseconds / 1_000_000)ms",
      ] + common(0, testbed)
    let child = try Child.start(
      program.path,
      arguments,
      in: testbed.spaces[0].name,
      Child.Streams(output: output.descriptor, errors: try logs.add(0))
    )
    let clock = testbed.emulation.clock
    let end = clock.now + Self.linkPatience
    while clock.now < end {
      if let line = output.text.firstIndex(of: "\n") { return (child, String(output.text[..<line])) }
      if let status = child.status {
        throw EmulationError("the source did not begin: \(logs.lastLine(of: 0) ?? "exit status \(status)")")
      }
      if try testbed.emulation.run(until: clock.now + .milliseconds(5)) {
        self.end([child])
        return nil
      }
    }
    self.end([child])
    throw EmulationError("the source did not begin within \(Self.linkPatience)")
  }

  private func startViewer(
    _ index: Int,
    _ link: String,
    _ testbed: borrowing Testbed,
    _ logs: inout Logs
  ) throws -> Child {
    // Who relays nothing has to put the stream somewhere.
    let leaf = plan.peers[index].role == .leaf ? ["--no-relay", "--output", "/dev/null"] : []
    return try Child.start(
      program.path,
      ["join", link] + leaf + common(index, testbed),
      in: testbed.spaces[index].name,
      Child.Streams(errors: try logs.add(index))
    )
  }

  private func common(_ index: Int, _ testbed: borrowing Testbed) -> [String] {
    let access = plan.peers[index].access
    // Should this process die, its peers do not stay for ever.
    let life = plan.scenario.phases.end + .seconds(30)
    var arguments = [
      "--listen", "udp://\(testbed.spaces[index].address)", "--stats", file(index, "json"), "--chunk-times",
      file(index, "csv"), "--patience", "\(plan.scenario.stream.deadline.nanoseconds / 1_000_000)ms",
      "--duration", "\(life.nanoseconds / 1_000_000)ms", "--quiet",
    ]
    if access.upload > 0 { arguments += ["--max-upload", "\(access.upload)"] }
    for plugin in program.plugins { arguments += ["--plugin", plugin] }
    return arguments
  }

  /// Ends processes that have not ended yet.
  private func end(_ children: [Child]) {
    for child in children { child.signal(SIGKILL) }
    for child in children { child.wait() }
  }

  // MARK: What was seen

  private func file(_ index: Int, _ kind: String) -> String { "\(folder)/\(index).\(kind)" }

  /// What all of it comes to; `origin` is the monotonic clock at the plan's zero, in nanoseconds.
  private func measurement(origin: Int64) -> Measurement {
    let made = ChunkLog(path: file(0, "csv")).lines
    var times: [UInt64: Duration] = [:]
    for line in made { times[line.chunk] = .nanoseconds(line.here &- origin) }
    var count = DeliveryCount(plan)
    var depths: [UInt32] = []
    var figures: [PeerFigures] = []
    for index in plan.peers.indices {
      let known = PeerFigures(path: file(index, "json"))
      figures.append(known)
      if let depth = index == 0 ? 0 : known.depth, depth < 1 << 10 {
        while depths.count <= depth { depths.append(0) }
        depths[depth] += 1
      }
      guard index > 0 else { continue }
      for line in ChunkLog(path: file(index, "csv")).lines {
        if line.isEntry { count.begin(index, at: .nanoseconds(line.out &- origin)) }
        guard let published = times[line.chunk] else { continue }
        count.deliver(to: index, published: published, arrived: .nanoseconds(line.here &- origin))
      }
    }
    for peer in figures {
      count.measurement.arrivals += peer.chunksIn + peer.duplicate
      count.measurement.duplicates += peer.duplicate
      count.measurement.repaired += peer.repaired
      count.measurement.rejected += peer.rejected
    }
    count.measurement.joins = UInt64(plan.peers.count - 1)
    count.measurement.depths = depths
    count.measurement.chunkBytes = traffic.chunkBytes
    count.measurement.controlBytes = traffic.controlBytes
    count.measurement.sourceChunks = traffic.sourceChunks
    count.conclude(published: times.values.sorted())
    return count.measurement
  }

  private func removeFiles() {
    for index in plan.peers.indices {
      for kind in ["json", "csv"] { unsafe unlink(file(index, kind)) }
    }
    unsafe rmdir(folder)
  }
}

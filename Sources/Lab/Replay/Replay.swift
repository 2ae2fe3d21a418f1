internal import JSON5
internal import PluginKit

/// The recordings of a swarm's peers on their way to a plan.
///
/// Every peer that is named takes part: those with a recording when it says, with what they may upload; others from the
/// first to the last time that they were somebody's link. One way takes half of the least round trip; between two that
/// never met it is estimated from those whom both met. The loss is that of all links together.
package struct Replay {
  /// The most peers: the ways between all of them are kept.
  package static let peerLimit = 2000
  /// The shortest time that can be replayed.
  private static let shortest = Duration.seconds(3)
  private static let longest = Duration.seconds(86_400)
  /// Chunks per second.
  private static let chunkRates = 0.1...100_000
  /// Who says nothing more so soon before the end was still there then.
  private static let grace = Duration.seconds(3)
  /// What a peer without a cap says about its upload, and more, in bits per second.
  private static let uncapped: UInt64 = 1_000_000_000

  private struct Known {
    var role = Role.relay
    var first: Duration
    var last: Duration
    /// Bits per second; 0 for no limit.
    var upload: UInt64?
    var left: Duration?
  }

  private struct Pair: Hashable {
    var low: Int
    var high: Int

    init(_ one: Int, _ other: Int) {
      low = min(one, other)
      high = max(one, other)
    }
  }

  private let recordings: [Recording]
  /// Those who say themselves when they were there.
  private let witnesses: Set<String>
  private var numbers: [String: Int] = [:]
  private var peers: [Known] = []
  private var trips: [Pair: Duration] = [:]
  private var sent: UInt64 = 0
  private var lost: UInt64 = 0
  private var rates: [UInt64] = []
  private var first = Duration.seconds(1 << 40)
  private var last = Duration.zero

  /// Takes in recordings, those of one swarm.
  ///
  /// Throws a sentence when they are not, or when it cannot be told who the source was.
  package static func plan(_ recordings: [Recording], name: String) throws(FileError) -> Plan {
    var replay = Replay(recordings)
    let source = try replay.findSource()
    for recording in recordings { try replay.take(recording) }
    return try replay.plan(source: source, name: name)
  }

  private init(_ recordings: [Recording]) {
    self.recordings = recordings
    witnesses = Set(recordings.map(\.peer))
  }

  // MARK: Taking in

  /// The peer that recorded as the source, or that fed those who stood right below it.
  private mutating func findSource() throws(FileError) -> Int {
    guard let one = recordings.first else { throw FileError("there is no recording", file: "lab replay") }
    var names: [String] = recordings.filter { $0.role == .source }.map(\.peer)
    if names.isEmpty {
      names = recordings.flatMap(\.moments).filter { $0.depth == 1 }.compactMap(\.parent)
    }
    guard let name = names.first else {
      throw FileError(
        "nobody was right below the source, nor is this the source's recording: give that one too",
        file: one.file
      )
    }
    guard witnesses.count == recordings.count else {
      throw FileError("two of these recordings are of the same peer", file: one.file)
    }
    if let other = names.first(where: { $0 != name }) {
      throw FileError("two sources, \(name) and \(other): these are recordings of two swarms", file: one.file)
    }
    let number = try self.number(name, at: one.began, one)
    peers[number].role = .source
    return number
  }

  private mutating func number(_ name: String, at time: Duration, _ recording: Recording) throws(FileError)
    -> Int
  {
    if let number = numbers[name] {
      if witnesses.contains(name), name != recording.peer { return number }
      peers[number].first = min(peers[number].first, time)
      peers[number].last = max(peers[number].last, time)
      return number
    }
    guard peers.count < Self.peerLimit else {
      throw FileError("more than \(Self.peerLimit) peers in all", file: recording.file)
    }
    numbers[name] = peers.count
    peers.append(Known(first: time, last: time))
    return peers.count - 1
  }

  private mutating func take(_ recording: Recording) throws(FileError) {
    let own = try number(recording.peer, at: recording.began, recording)
    // Somebody else may have named it before.
    (peers[own].first, peers[own].last) = (recording.began, recording.began)
    if recording.role == .leaf { peers[own].role = .leaf }
    peers[own].left = recording.left
    first = min(first, recording.began)
    var totals: [String: (sent: UInt64, lost: UInt64)] = [:]
    var greatest: UInt64 = 0
    for (index, moment) in recording.moments.enumerated() {
      _ = try number(recording.peer, at: moment.at, recording)
      last = max(last, moment.at)
      if moment.rate > 0 { rates.append(moment.rate) }
      if index > 0, case let before = recording.moments[index - 1], moment.out > before.out,
        moment.at > before.at
      {
        let rate = Double(moment.out - before.out) * 8 / ((moment.at - before.at) / .seconds(1))
        greatest = max(greatest, UInt64(min(rate, 1e12)))
      }
      for link in moment.links {
        let other = try number(link.peer, at: moment.at, recording)
        guard other != own else { continue }
        if let trip = link.roundTrip {
          let pair = Pair(own, other)
          trips[pair] = min(trips[pair] ?? trip, trip)
        }
        if let upload = link.upload, peers[other].upload == nil { peers[other].upload = upload }
        // A link that begins anew counts from zero again.
        let before = totals[link.peer] ?? (0, 0)
        let isNew = link.sent < before.sent || link.lost < before.lost
        sent &+= isNew ? link.sent : link.sent - before.sent
        lost &+= isNew ? link.lost : link.lost - before.lost
        totals[link.peer] = (link.sent, link.lost)
      }
    }
    // Who was free to send what it liked could send at least as much as it did.
    peers[own].upload = recording.upload ?? max(Self.uncapped, greatest)
  }

  // MARK: The plan

  private func plan(source: Int, name: String) throws(FileError) -> Plan {
    let one = recordings[0]
    let length = last - first
    guard length >= Self.shortest else {
      throw FileError(
        "there is nothing to replay: the recording is \(length.milliseconds / 1000) s long",
        file: one.file
      )
    }
    guard length <= Self.longest else {
      throw FileError(
        "from the first to the last line it is more than a day: are these of one broadcast?",
        file: one.file
      )
    }
    guard !rates.isEmpty else { throw FileError("no stream ever came here", file: one.file) }
    let rate = rates.sorted()[rates.count / 2]
    let chunks = Double(rate) / Double(one.chunkSize * 8)
    guard Self.chunkRates.contains(chunks) else {
      throw FileError(
        "\(rate) bit/s in chunks of \(one.chunkSize) bytes is no stream that can be replayed",
        file: one.file
      )
    }
    // What happens at the ends is not measured: peers are still arriving, and chunks still under way.
    let edge = min(.seconds(10), length / 4)
    let drain = min(one.patience + .seconds(1), length / 4)
    let order =
      [source]
      + peers.indices.filter { $0 != source }.sorted { (peers[$0].first, $0) < (peers[$1].first, $1) }
    let scenario = Scenario(
      name: name,
      summary: "What \(recordings.count) peers recorded of a swarm of \(peers.count), once more",
      stream: Scenario.Stream(
        rate: rate,
        chunkSize: one.chunkSize,
        window: .seconds(min(3600, Double(one.window) * Double(one.chunkSize) * 8 / Double(rate))),
        deadline: one.patience
      ),
      source: Access(upload: upload(source)),
      groups: [Scenario.Group(name: "recorded", access: Access(upload: 0))],
      count: peers.count - 1,
      latency: .matrix(ways(order)),
      weather: Weather(loss: sent == 0 ? 0 : min(1, Double(lost) / Double(sent))),
      phases: Scenario.Phases(ramp: .zero, settle: edge, measure: length - edge - drain, drain: drain)
    )
    let planned = order.enumerated().map { place, number in
      let peer = peers[number]
      let goes = peer.left ?? (peer.last + Self.grace < last ? peer.last : nil)
      return Plan.Planned(
        role: peer.role,
        joins: place == 0 ? .zero : max(.zero, peer.first - first),
        goes: place == 0 ? nil : goes.map { max(.zero, $0 - first) }.flatMap { $0 < length ? $0 : nil },
        isGraceful: peer.left != nil,
        access: Access(upload: upload(number)),
        place: Plan.Place(row: Int32(place))
      )
    }
    return Plan(scenario: scenario, seed: 1, peers: planned)
  }

  private func upload(_ peer: Int) -> UInt64 {
    let known = peers[peer].upload ?? 0
    return known >= Self.uncapped ? 0 : known
  }

  /// One way from each peer to each, in the plan's order.
  private func ways(_ order: [Int]) -> [[Duration]] {
    var met = [[Int]](repeating: [], count: peers.count)
    for pair in trips.keys {
      met[pair.low].append(pair.high)
      met[pair.high].append(pair.low)
    }
    for index in met.indices { met[index].sort() }
    let known = trips.values.sorted()
    let usual = known.isEmpty ? Duration.milliseconds(20) : known[known.count / 2]
    return order.map { one in
      order.map { other in
        one == other ? .zero : (trips[Pair(one, other)] ?? estimate(one, other, met) ?? usual) / 2
      }
    }
  }

  /// A round trip between two who never met: the middle of what the triangles with those whom both met allow.
  private func estimate(_ one: Int, _ other: Int, _ met: [[Int]]) -> Duration? {
    var least = Duration.zero
    var most: Duration?
    for third in met[one] {
      guard let near = trips[Pair(one, third)], let far = trips[Pair(third, other)] else { continue }
      least = max(least, near > far ? near - far : far - near)
      most = min(most ?? near + far, near + far)
    }
    return most.map { (max(least, .zero) + max($0, least)) / 2 }
  }
}

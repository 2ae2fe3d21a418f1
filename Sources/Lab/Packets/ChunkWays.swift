internal import Wire

/// What becomes of chunks on their ways at packet fidelity: where the delays of some come from, and why others do not come.
///
/// One chunk of each second is followed everywhere, as at chunk fidelity. There is less to be told apart here: what a
/// chunk that was asked for waited at the one who sent it counts as its request or repair, and not as a queue.
struct ChunkWays {
  private static let blames: [Measurement.Blame] = [.way, .queue, .repair, .liar]

  private let chunkSize: Int
  private let distance: UInt32
  private let count: Int
  /// How many samples are kept: a chunk may be read a deadline after the one on which it came.
  private let sampleLimit: Int
  private var samples: [Sample] = []
  private var marks: Marks

  init(_ plan: Plan) {
    let stream = plan.scenario.stream
    chunkSize = stream.chunkSize
    distance = UInt32(max(1, 1_000_000_000 / stream.interval.nanoseconds))
    count = plan.peers.count
    sampleLimit = Int(stream.deadline * 2 / .seconds(1)) + 2
    marks = Marks(count: count, span: Int(stream.deadline / stream.interval) + 64)
  }

  /// Bytes of DATA before its payload: type, two chunk numbers, time.
  private static let dataHeader = 17

  /// The chunk that a datagram carries, as the last of its messages; nil when it carries no whole one.
  func chunk(of datagram: [UInt8]) -> UInt32? {
    let start = datagram.count - chunkSize - Self.dataHeader
    guard start >= WireFormat.channelSize, datagram[start] == MessageType.data else { return nil }
    return (1...4).reduce(0) { $0 << 8 | UInt32(datagram[start + $1]) }
  }

  // MARK: Delays taken apart

  func isSampled(_ chunk: UInt32) -> Bool { chunk % distance == distance / 2 }

  /// A sampled chunk leaves one peer for another; times are nanoseconds.
  mutating func pass(
    _ chunk: UInt32,
    published: Int64,
    from: Int,
    to: Int,
    _ cause: ChunkCause,
    at now: Int64,
    _ passage: World.Passage
  ) {
    let place = place(of: chunk, published)
    var split = samples[place].splits[from]
    let arrival = passage.arrival.nanoseconds
    let before = samples[place].splits[to]
    guard from == 0 || split.hops > 0, to != 0, before.hops == 0 || arrival < before.arrived else { return }
    let held = max(0, now - split.arrived)
    switch cause {
    case .repaired: split.repair += held
    case .requested: split.request += held
    case .fresh, .later: split.queue += held
    }
    let (queued, sending) = (passage.queued.nanoseconds, passage.sending.nanoseconds)
    split.queue += queued
    split.serialisation += sending
    split.propagation += arrival - now - queued - sending
    split.hops += 1
    split.arrived = arrival
    samples[place].splits[to] = split
  }

  private mutating func place(of chunk: UInt32, _ published: Int64) -> Int {
    if let known = samples.firstIndex(where: { $0.chunk == chunk }) { return known }
    var splits = [PathSplit](repeating: PathSplit(), count: count)
    splits[0].arrived = published
    if samples.count >= sampleLimit { samples.removeFirst() }
    samples.append(Sample(chunk: chunk, splits: splits))
    return samples.count - 1
  }

  /// How a sampled chunk came to a peer at a time; nil when it was not followed all the way.
  func split(_ chunk: UInt32, to peer: Int, arrived: Int64) -> PathSplit? {
    guard let sample = samples.first(where: { $0.chunk == chunk }) else { return nil }
    let split = sample.splits[peer]
    return split.hops > 0 && split.arrived == arrived ? split : nil
  }

  // MARK: Chunks that do not come

  mutating func mark(_ peer: Int, _ chunk: UInt32, _ blame: Measurement.Blame) {
    marks[peer, chunk] = UInt8(Self.blames.firstIndex(of: blame) ?? 0)
  }

  /// Why a chunk did not come over the way to a peer, if something happened to it there.
  func blame(_ peer: Int, _ chunk: UInt32) -> Measurement.Blame? {
    let mark = marks[peer, chunk]
    return mark == 0 ? nil : Self.blames[Int(mark)]
  }

  /// Everybody who lacks a chunk was asked why.
  mutating func forget(_ chunk: UInt32) {
    for peer in 0..<count where marks[peer, chunk] != 0 { marks[peer, chunk] = 0 }
  }
}

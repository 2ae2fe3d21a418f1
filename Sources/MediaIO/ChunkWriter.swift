internal import CFFmpeg
internal import Threads

/// Puts packets into the muxer and cuts what comes out into chunks that begin where a decoder can.
struct ChunkWriter {
  /// Random access points that follow closer than this do not each begin a chunk; ticks of 90 kHz.
  static let entrySpacing = Timeline.rate / 5
  /// How often a stream without pictures can be entered.
  private static let audioSpacing = Timeline.rate
  /// How many pictures are left out while the first random access point is awaited.
  private static let leadingLimit = 600

  private let muxer: Muxer
  private let isTimed: Bool
  private let hasVideo: Bool
  private var chunker: Chunker
  private var group: ChunkGroup
  private var lastEntry: Int64?
  private var lastVideo: Int64?
  private var hasKey = false
  private var left = 0

  /// Makes a writer; with `isTimed`, chunks and groups that are not full are sent after a while.
  init(muxer: Muxer, chunker: Chunker, groupSize: Int, hasVideo: Bool, isTimed: Bool) {
    self.muxer = muxer
    self.hasVideo = hasVideo
    self.isTimed = isTimed
    self.chunker = chunker
    group = ChunkGroup(size: groupSize)
  }

  /// When `flush` is due.
  var deadline: Int64? {
    guard isTimed else { return nil }
    return [chunker.deadline, group.deadline].compactMap(\.self).min()
  }

  /// Sends what is pending: the chunk, and the group, filled up, when its time has come.
  mutating func flush(now: Int64, _ emit: MediaSource.Emit) -> Bool {
    var isWanted = send(chunker.flush(), now: now, emit)
    guard let due = group.deadline, now >= due else { return isWanted }
    while isWanted, !group.isComplete { isWanted = send(chunker.filler(), now: now, emit) }
    return isWanted
  }

  /// Sends the end of the stream.
  mutating func finish(_ emit: MediaSource.Emit) -> Bool {
    var isWanted = true
    var rest: [ArraySlice<UInt8>] = []
    muxer.finish { rest.append($0) }
    for packet in rest where isWanted { isWanted = send(chunker.append(packet, now: 0), now: 0, emit) }
    for chunk in chunker.finish() where isWanted { isWanted = send(chunk, now: 0, emit) }
    return isWanted
  }

  /// Muxes one packet.
  ///
  /// - Returns: false when a chunk was refused.
  mutating func write(
    _ packet: Packet,
    tracks: [any Track],
    _ emit: MediaSource.Emit
  ) throws(FFmpegError) -> Bool {
    let isVideo = tracks[packet.stream].isVideo
    let time = unsafe packet.pointer.pointee.dts
    if isVideo && !hasKey {
      guard packet.isKey || left >= Self.leadingLimit else {
        // Nobody could decode it.
        left += 1
        return true
      }
      hasKey = true
    }
    let begins = beginsEntry(isVideo: isVideo, isKey: packet.isKey, at: time)
    if isVideo { lastVideo = time }
    if begins { lastEntry = time }
    var isWanted = true
    var awaitsTables = begins
    let now = isTimed ? monotonicNow() : 0
    try muxer.write(packet, withTables: begins) { transportPacket in
      guard isWanted else { return }
      let identifier =
        UInt16(transportPacket[transportPacket.startIndex + 1] & 0x1f) << 8
        | UInt16(transportPacket[transportPacket.startIndex + 2])
      // The service's name would come before the tables and says nothing.
      if identifier == TransportStream.serviceDescriptionTable { return }
      if awaitsTables && identifier == TransportStream.programAssociationTable {
        awaitsTables = false
        isWanted = send(chunker.beginEntry(), now: now, emit)
      }
      if isWanted { isWanted = send(chunker.append(transportPacket, now: now), now: now, emit) }
    }
    return isWanted
  }

  private func beginsEntry(isVideo: Bool, isKey: Bool, at time: Int64) -> Bool {
    guard let lastEntry else { return true }
    // The muxer writes its tables before the first picture anyhow, for want of a clock until then.
    if isVideo { return isKey && (lastVideo == nil || time - lastEntry >= Self.entrySpacing) }
    let isAlone = !hasVideo || time - (lastVideo ?? lastEntry) >= Self.audioSpacing
    return isAlone && time - lastEntry >= Self.audioSpacing
  }

  private mutating func send(_ chunk: Chunker.Chunk?, now: Int64, _ emit: MediaSource.Emit) -> Bool {
    guard let chunk else { return true }
    group.add(now: now)
    return unsafe emit(chunk.bytes.span.bytes, chunk.isEntry, chunk.isLast)
  }
}

import Integrity
import Lab
import PluginKit
import Wire

/// A peer that knows RFC 7574 and nothing else: it tells by HAVE, pulls by REQUEST and serves in the same way.
///
/// Written over the messages alone, so that it shares no logic with what it tests.
final class PlainPeer: Participant {
  struct Chunk {
    var timestamp: UInt64
    var signature: [UInt8]
    var payload: [UInt8]
  }

  /// The other end of a channel.
  final class Other {
    let address: Address
    let local: UInt32
    var remote: UInt32
    /// Whether a datagram with our number came.
    var isProven = false
    var isChoking = false
    var has: [ClosedRange<UInt64>] = []

    init(_ address: Address, local: UInt32, remote: UInt32) {
      self.address = address
      self.local = local
      self.remote = remote
    }
  }

  let address: Address
  let broadcast: Broadcast
  let format: WireFormat
  /// Makes the stream, instead of watching it.
  let injects: Bool
  /// Whom it names to those that ask for peers; nil for those that it talks to.
  var names: [Address]?
  /// What it was told by exchange; it asks when told to.
  private(set) var told: [Address] = []
  /// Whether it asks for what others have.
  var asks = true
  private(set) var chunks: [UInt64: Chunk] = [:]
  private(set) var arrivals: [(chunk: UInt64, time: Duration)] = []
  private(set) var others: [Other] = []
  private(set) var falsehoods = 0
  private(set) var chokes = 0
  private(set) var closings = 0
  private(set) var requestsServed = 0
  /// Messages that are none of RFC 7574, or were sent although our option 8 says no.
  private(set) var strange = 0
  private(set) var datagrams: [[UInt8]] = []
  private let verifier: SignAll.Verifier
  private let signer: SignAll.Signer?
  private var outgoing: [(bytes: [UInt8], to: Address)] = []
  private var dialled: [Address] = []
  private var asked: [UInt64: Duration] = [:]
  private var nextTick: Duration
  private var nextChunk: Duration?
  private var nextChannel: UInt32

  init(number: UInt32, _ broadcast: Broadcast, injects: Bool = false, dials: [Address] = [], now: Duration)
    throws
  {
    address = Address(ipv4: 0x0A08_0000 + number, port: 6881)
    self.broadcast = broadcast
    self.injects = injects
    format = WireFormat(signatureLength: broadcast.key.signatureLength, chunkSize: broadcast.chunkSize)
    verifier = try SignAll.Verifier(broadcast.publicKey, addressing: .chunkRanges32)
    signer = injects ? try SignAll.Signer(broadcast.key, addressing: .chunkRanges32) : nil
    nextTick = now
    nextChunk = injects ? now : nil
    nextChannel = 0xC000_0000 + number << 8
    dialled = dials
  }

  var nextTimeout: Duration? { [nextTick, nextChunk].compactMap { $0 }.min() }

  /// The longest run of chunks that it holds, ending at the newest.
  var run: ClosedRange<UInt64>? {
    chunks.keys.max().map(run(around:))
  }

  /// What a HAVE says of a chunk: the biggest interval that holds it (RFC 7574, section 4.3.1).
  private func run(around chunk: UInt64) -> ClosedRange<UInt64> {
    var (first, last) = (chunk, chunk)
    while first > 0, chunks[first - 1] != nil { first -= 1 }
    while chunks[last + 1] != nil { last += 1 }
    return first...last
  }

  /// Asks all that it talks to for peers.
  func askForPeers() {
    for other in others where other.isProven { say(other) { WireFormat.appendPexRequest(to: &$0) } }
  }

  /// Ends its channels properly.
  func close() {
    for other in others where other.remote != 0 {
      var bytes: [UInt8] = []
      WireFormat.appendChannel(other.remote, to: &bytes)
      WireFormat.appendClosingHandshake(to: &bytes)
      outgoing.append((bytes, other.address))
    }
    others = []
    dialled = []
  }

  private func options(initiator: Bool) -> HandshakeOptions {
    HandshakeOptions(
      minimumVersion: initiator ? 1 : nil,
      swarmID: initiator ? broadcast.key.swarmID.bytes : nil,
      integrity: .signAll,
      signatureAlgorithm: broadcast.key.algorithm.rawValue,
      addressing: .chunkRanges32,
      discardWindow: 4000,
      chunkSize: broadcast.chunkSize
    )
  }

  private func say(_ other: Other, _ write: (inout [UInt8]) -> Void) {
    var bytes: [UInt8] = []
    WireFormat.appendChannel(other.remote, to: &bytes)
    write(&bytes)
    outgoing.append((bytes, other.address))
  }

  func receive(_ datagram: [UInt8], from: Address, now: Duration) {
    datagrams.append(datagram)
    do throws(DecodeError) {
      var reader = try DatagramReader(datagram.span)
      let other: Other
      if reader.destination == 0 {
        guard case .handshake(let view)? = try reader.next(format), !view.isClosing else { return }
        if let known = others.first(where: { $0.address == from && $0.remote == view.source }) {
          other = known
        } else {
          nextChannel += 1
          other = Other(from, local: nextChannel, remote: view.source)
          others.append(other)
        }
        say(other) { WireFormat.appendHandshake(source: other.local, options(initiator: false), to: &$0) }
        return
      }
      guard let known = others.first(where: { $0.local == reader.destination && $0.address == from }) else {
        return
      }
      other = known
      let wasProven = other.isProven
      other.isProven = true
      try read(&reader, other, now)
      if !wasProven, other.remote != 0 { say(other) { advertise(&$0) } }
    } catch {
      strange += 1
    }
  }

  private func read(_ reader: inout DatagramReader, _ other: Other, _ now: Duration) throws(DecodeError) {
    var timestamp: UInt64 = 0
    var signature: [UInt8] = []
    while let message = try reader.next(format) {
      switch message {
      case .handshake(let view):
        if view.isClosing {
          closings += 1
          others.removeAll { $0 === other }
          return
        }
        other.remote = view.source
      case .have(let range): other.has.append(range)
      case .signedIntegrity(_, let time, let bytes):
        timestamp = time
        signature = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
      case .data(let range, let sent, let payload):
        let chunk = range.lowerBound
        let isTrue = unsafe verifier.verify(
          chunk: chunk,
          timestamp: timestamp,
          signature: signature.span.bytes,
          payload: payload
        )
        guard isTrue, broadcast.isTrue(chunk, payload) else {
          falsehoods += 1
          return
        }
        let bytes = unsafe payload.withUnsafeBytes { unsafe Array($0) }
        if chunks.updateValue(
          Chunk(timestamp: timestamp, signature: signature, payload: bytes),
          forKey: chunk
        ) == nil {
          arrivals.append((chunk, now))
        }
        let delay = UInt64(bitPattern: now.nanoseconds / 1000) &- sent
        say(other) { format.appendAck(chunk...chunk, delay: delay, to: &$0) }
        for third in others where third !== other && third.isProven {
          say(third) { format.appendHave(run(around: chunk), to: &$0) }
        }
      case .request(let range):
        for chunk in range.clamped(to: (newest > 200 ? newest - 200 : 0)...newest) {
          serve(chunk, other, now)
        }
      case .choke:
        chokes += 1
        other.isChoking = true
      case .unchoke: other.isChoking = false
      case .ack, .cancel: break
      case .pexRequest:
        let known = others.filter { $0.isProven && $0 !== other }.map(\.address)
        say(other) { bytes in
          for address in names ?? known {
            let host = (0..<4).reduce(UInt32(0)) { $0 << 8 | UInt32(address[$1]) }
            WireFormat.appendPexResponse(address: host, port: address.port ?? 0, to: &bytes)
          }
        }
      case .pexResponse4(let host, let port): told.append(Address(ipv4: host, port: port))
      case .extensionMessage, .integrity, .pexResponse6, .pexCertificate: strange += 1
      }
    }
  }

  private var newest: UInt64 { chunks.keys.max() ?? 0 }

  private func serve(_ number: UInt64, _ other: Other, _ now: Duration) {
    guard let chunk = chunks[number] else { return }
    requestsServed += 1
    say(other) { bytes in
      unsafe format.appendSignedIntegrity(
        number...number,
        timestamp: chunk.timestamp,
        signature: chunk.signature.span.bytes,
        to: &bytes
      )
      format.appendDataHeader(number, timestamp: UInt64(now.nanoseconds / 1000), to: &bytes)
      bytes += chunk.payload
    }
  }

  private func advertise(_ bytes: inout [UInt8]) {
    if let run { format.appendHave(run, to: &bytes) }
  }

  func turn(now: Duration, send: ([UInt8], Address) -> Void) {
    if let time = nextChunk, time <= now { publish(now) }
    if nextTick <= now {
      nextTick = now + .milliseconds(20)
      tick(now)
    }
    for (bytes, to) in outgoing { send(bytes, to) }
    outgoing = []
  }

  private func publish(_ now: Duration) {
    let made = broadcast.publish(now: now)
    let timestamp = NTPTimestamp(sinceUnixEpoch: .seconds(1_800_000_000) + now).rawValue
    var signature: [UInt8] = []
    let payload = made.payload
    try? unsafe signer?.sign(
      chunk: made.chunk,
      timestamp: timestamp,
      payload: payload.span.bytes,
      into: &signature
    )
    chunks[made.chunk] = Chunk(timestamp: timestamp, signature: signature, payload: payload)
    for other in others where other.isProven { say(other) { advertise(&$0) } }
    nextChunk = now + broadcast.interval
  }

  /// Repeats first handshakes and asks for what is missing.
  private func tick(_ now: Duration) {
    for address in dialled {
      if let other = others.first(where: { $0.address == address }) {
        guard other.remote == 0 else { continue }
        first(other)
      } else {
        nextChannel += 1
        let other = Other(address, local: nextChannel, remote: 0)
        others.append(other)
        first(other)
      }
    }
    guard !injects else { return }
    for other in others where other.isProven && !other.isChoking {
      guard let highest = other.has.map(\.upperBound).max() else {
        // Nothing is known yet: show that the answer came.
        say(other) { _ in }
        continue
      }
      let from = max(arrivals.first?.chunk ?? 0, highest > 100 ? highest - 100 : 0)
      for chunk in from...max(from, highest)
      where asks && chunks[chunk] == nil && other.has.contains(where: { $0.contains(chunk) }) {
        if let time = asked[chunk], now - time < .milliseconds(200) { continue }
        asked[chunk] = now
        say(other) { format.appendRequest(chunk...chunk, to: &$0) }
      }
    }
  }

  private func first(_ other: Other) {
    var bytes: [UInt8] = []
    WireFormat.appendChannel(0, to: &bytes)
    WireFormat.appendHandshake(source: other.local, options(initiator: true), to: &bytes)
    outgoing.append((bytes, other.address))
  }
}

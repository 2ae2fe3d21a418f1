import CAllocations
import Support
import Testing
import Wire

/// Reading allocates nothing, and neither does writing into an array that is large enough.
@Suite(.enabled(if: allocations_are_counted(), "a sanitizer brings its own malloc"))
struct AllocationTests {
  /// A format of each addressing method.
  static let formats = ChunkAddressing.allCases.map {
    WireFormat(
      addressing: $0,
      signatureLength: 64,
      hashLength: 32,
      chunkSize: 1316,
      allowsExtensions: true
    )
  }

  /// Counts what `body` allocates on this thread once everything is set up.
  func allocations(_ body: () -> Void) -> UInt64 {
    body()
    let before = allocations_of_this_thread()
    body()
    return allocations_of_this_thread() - before
  }

  @Test func `the counter sees an allocation`() {
    var kept: [[UInt8]] = []
    #expect(allocations { kept.append([UInt8](repeating: 1, count: 100)) } > 0)
  }

  @Test(arguments: formats)
  func `reading every kind of message allocates nothing`(_ format: WireFormat) {
    var generator = SplitMix64(seed: 1)
    let datagrams = OwnedMessage.Kind.allCases.map {
      OwnedDatagram(destination: 5, [.random($0, format, using: &generator)]).bytes(format)
    }
    for bytes in datagrams {
      #expect(allocations { Self.readAll(bytes, format) } == 0, "\(bytes)")
    }
  }

  @Test func `refusing a datagram allocates nothing of our own`() {
    let bytes: [UInt8] = [0, 0, 0, 1, 3, 0, 0, 0, 2, 0, 0, 0, 1]
    // Swift Testing watches what is thrown, and boxes it for that: one allocation that is not ours.
    #expect(allocations { Self.readAll(bytes, WireFormat()) } <= 1)
  }

  @Test(arguments: formats)
  func `writing into a large enough array allocates nothing`(_ format: WireFormat) {
    let signature = [UInt8](repeating: 9, count: 64)
    var out: [UInt8] = []
    out.reserveCapacity(2_000)
    let count = allocations {
      out.removeAll(keepingCapacity: true)
      WireFormat.appendChannel(7, to: &out)
      format.appendAck(format.widest(around: 4, in: 3...9), delay: 20, to: &out)
      format.appendHave(3...9, to: &out)
      format.appendRequest(10...10, to: &out)
      format.appendCancel(4...4, to: &out)
      WireFormat.appendUnchoke(to: &out)
      format.appendSignedIntegrity(9...9, timestamp: 1, signature: unsafe signature.span.bytes, to: &out)
      format.appendDataHeader(9, timestamp: 2, to: &out)
    }
    #expect(count == 0)
  }

  /// Reads a datagram to its end as a relay would, keeping only sums.
  @inline(never)
  static func readAll(_ bytes: borrowing [UInt8], _ format: WireFormat) {
    do throws(DecodeError) {
      var reader = try DatagramReader(bytes.span)
      while let message = try reader.next(format) {
        if case .handshake(let view) = message { _ = view.swarmID?.byteCount }
      }
    } catch {}
  }
}

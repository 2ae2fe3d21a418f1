import PluginKit
import Testing

@testable import Node

struct BacklogTests {
  private let address = Address(ipv4: 0x7f00_0001, port: 7574)

  private func append(_ value: UInt8, to backlog: inout Backlog, deadline: Duration = .zero) {
    let head: [UInt8] = [value]
    let body: [UInt8] = [value, value]
    let packet = Packet(address: address, head: Slice(offset: 9, count: 9), deadline: deadline)
    unsafe backlog.append(packet, head.span.bytes, body.span.bytes)
  }

  @Test func `What waits goes in order, head before body`() {
    var backlog = Backlog()
    for value in 1...3 as ClosedRange<UInt8> { append(value, to: &backlog) }
    var sent: [[UInt8]] = []
    backlog.retry(now: .seconds(1)) { packets, bytes in
      for index in 0..<2 {
        sent.append(
          packets[index].head.range.map { unsafe bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
        )
      }
      return 2
    }
    #expect(sent == [[1, 1, 1], [2, 2, 2]])
    #expect(!backlog.isEmpty)
    backlog.retry(now: .seconds(1)) { packets, _ in packets.count }
    #expect(backlog.isEmpty)
    #expect(backlog.dropped == 0)
  }

  @Test func `What is too late is not sent`() {
    var backlog = Backlog()
    append(1, to: &backlog, deadline: .seconds(1))
    append(2, to: &backlog, deadline: .seconds(3))
    append(3, to: &backlog)
    backlog.retry(now: .seconds(2)) { packets, _ in
      #expect(packets.count == 2)
      return packets.count
    }
    #expect(backlog.dropped == 1)
  }

  @Test func `Only so much waits`() {
    var backlog = Backlog()
    for _ in 0..<Backlog.packetLimit + 10 { append(1, to: &backlog) }
    #expect(backlog.dropped == 10)
    let large = [UInt8](repeating: 0, count: Backlog.byteLimit + 1)
    var other = Backlog()
    unsafe other.append(
      Packet(address: address, head: Slice(offset: 0, count: 0)),
      large.span.bytes,
      RawSpan()
    )
    #expect(other.isEmpty)
    #expect(other.dropped == 1)
  }
}

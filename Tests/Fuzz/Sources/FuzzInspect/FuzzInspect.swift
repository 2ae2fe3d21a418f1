import Inspect
import Integrity
import PluginKit
import Swarm
import Wire

/// Two who talk with each other.
let addresses = [Address(ipv4: 0xC000_0201, port: 40_000), Address(ipv6: 1, 2, port: 7574)]

/// A link for those captures that begin in mid-stream.
let link: Swarm.Link = {
  let seed = [UInt8](repeating: 7, count: 32)
  guard let key = try? StreamKey(ed25519Seed: seed.span.bytes) else { preconditionFailure("no key") }
  return Swarm.Link(endpoints: [.address(addresses[1])], swarmID: key.swarmID, chunkSize: 64)
}()

/// A capture: packets one after the other, each with a byte of flags and two of its length.
///
/// Bit 0 of the flags is the direction of a datagram; bit 1 says that it is a frame, and the others its link type.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = [UInt8](UnsafeBufferPointer(start: start, count: count))
  inspectText(input)
  inspect(input, Inspector())
  inspect(input, Inspector(link: link, keepsBytes: true))
  return 0
}

/// The same bytes as pasted text.
func inspectText(_ input: [UInt8]) {
  var inspector = Inspector(link: link)
  var text = HexText()
  var renderer = TextRenderer(width: 80)
  for line in input.split(separator: 0x0A, omittingEmptySubsequences: false) {
    let pieces = (try? text.read(line)) ?? text.finish()
    for case .datagram(let said) in pieces.map({ inspector.inspect($0) }) { check(renderer.render(said)) }
  }
  _ = text.finish()
}

func inspect(_ input: [UInt8], _ fresh: Inspector) {
  var inspector = fresh
  var text = TextRenderer(width: 80)
  let json = JSONRenderer()
  let filter = Filter(channel: 1)
  var rest = input[...]
  var time = Duration.seconds(1_700_000_000)
  while rest.count >= 3 {
    let flags = rest[rest.startIndex]
    let length = Int(rest[rest.startIndex + 1]) << 8 | Int(rest[rest.startIndex + 2])
    let bytes = Array(rest.dropFirst(3).prefix(length))
    rest = rest.dropFirst(3 + length)
    time += .milliseconds(1)
    let said: DatagramDescription
    if flags & 2 == 0 {
      let (from, to) = flags & 1 == 0 ? (addresses[0], addresses[1]) : (addresses[1], addresses[0])
      said = inspector.inspect(datagram: bytes.span, at: time, from: from, to: to)
    } else {
      let layer = LinkLayer.allCases[Int(flags >> 2) % LinkLayer.allCases.count]
      guard case .datagram(let found) = inspector.inspect(frame: bytes.span, layer, at: time) else {
        continue
      }
      said = found
    }
    check(text.render(said))
    let line = json.render(said)
    precondition(line.utf8.allSatisfy { $0 >= 0x20 || $0 == 0x0A }, "a control character in JSON")
    precondition(
      line.utf8.last == 0x0A && line.utf8.filter { $0 == 0x0A }.count == 1,
      "JSON of several lines"
    )
    _ = filter.apply(said)
  }
  let summary = inspector.summary
  check(text.render(summary))
  precondition(!json.render(summary).isEmpty)
}

/// Strangers' bytes may not steer a terminal, nor make lines long.
func check(_ text: String) {
  for line in text.split(separator: "\n") {
    precondition(
      line.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F },
      "a control character: \(line.debugDescription)"
    )
    precondition(line.count <= 80, "a line of \(line.count) columns: \(line)")
  }
}

// Delays and loses packets between network namespaces, each with a TUN device that exists already:
//
//     NetworkEmulator delay=10ms,loss=0.05,seed=1 wan0 left=10.0.0.1 right=10.0.0.2,fd00::2
//
// Prints "ready" when it carries packets and, after SIGTERM, what became of them.
import Emulator
import Glibc
import Lab
import Net
import PluginKit

private let parameters = [
  Parameter("delay", .duration(.zero ... .seconds(60), default: .zero), "from one host to another"),
  Parameter("jitter", .duration(.zero ... .seconds(60), default: .zero), "is added, at most"),
  Parameter("loss", .number(0...1, default: 0), "the part of all packets that vanish"),
  Parameter("rate", .integer(0...100_000_000_000, default: 0), "bits per second, 0 for no limit"),
  Parameter(
    "queue",
    .duration(.zero ... .seconds(60), default: .milliseconds(100)),
    "waits for the rate, at most"
  ),
  Parameter("seed", .integer(0...Int.max, default: 1), "makes the same losses again"),
]

/// Reads `NAMESPACE=ADDRESS[,ADDRESS]`.
private func host(_ text: String) throws(ParameterError) -> Emulation.Host {
  guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
    throw ParameterError("'\(text)' is no host: write NAMESPACE=ADDRESS")
  }
  var addresses: [Address] = []
  for part in text[text.index(after: equals)...].split(separator: ",") {
    guard let address = HostPort(host: String(part), port: 0).numeric else {
      throw ParameterError("'\(part)' is no IP address")
    }
    addresses.append(address)
  }
  return Emulation.Host(namespace: String(text[..<equals]), addresses: addresses)
}

private func run(_ arguments: [String]) throws(any Error) {
  guard arguments.count >= 3 else {
    throw ParameterError("usage: NetworkEmulator NAME=VALUE,… DEVICE NAMESPACE=ADDRESS…")
  }
  let values = try Parameters(arguments[0], declared: parameters)
  let path = Path(
    delay: values.duration("delay"),
    jitter: values.duration("jitter"),
    loss: values.number("loss"),
    rate: UInt64(values.integer("rate")),
    queue: values.duration("queue")
  )
  let hosts = try arguments.dropFirst(2).map(host)
  guard hosts.count <= EmulatedNetwork.hostLimit else {
    throw ParameterError("there are at most \(EmulatedNetwork.hostLimit) hosts")
  }
  var emulation = try Emulation(
    path,
    seed: UInt64(values.integer("seed")),
    hosts: hosts,
    device: arguments[1]
  )
  bePrompt()
  print("ready")
  fflush(nil)
  try emulation.run()
  let counters = emulation.counters
  let late = [0.5, 0.99, 0.9999].map { part in
    emulation.lateness.quantile(part).map { "\(Int($0 / .microseconds(1)))" } ?? "-"
  }
  let lostPart = Double(counters.lost) / Double(max(1, counters.received - counters.unroutable))
  print(
    "\(counters.received) packets, lost \(counters.lost) (\((lostPart * 10_000).rounded() / 100) %),",
    "queue full \(counters.overflowed), refused \(emulation.refused), to nobody \(counters.unroutable);",
    "left late by \(late[0]) us median, \(late[1]) us p99, \(late[2]) us p99.99"
  )
}

do {
  try run(Array(CommandLine.arguments.dropFirst()))
} catch {
  let sentence = Array("NetworkEmulator: \(error)\n".utf8)
  _ = unsafe write(STDERR_FILENO, sentence, sentence.count)
  exit(error is ParameterError ? 64 : 1)
}

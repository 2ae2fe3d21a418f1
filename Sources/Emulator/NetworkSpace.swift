internal import Glibc
internal import Lab
internal import PluginKit

/// A network namespace in which one peer lives; its only way out is a TUN device.
struct NetworkSpace {
  static let device = "wan0"
  /// What the names of all of them begin with.
  private static let prefix = "freshet-lab-"
  /// Where `ip netns` keeps its namespaces.
  private static let folder = "/run/netns"
  /// The longest packet, and a little more: a token bucket takes nothing that is longer than it.
  private static let bucket = 1540

  let name: String
  let address: Address

  /// Makes one, whose `number` from 0 on tells it from others of this process; it holds nothing back and loses nothing yet.
  static func create(_ number: Int) throws(EmulationError) -> NetworkSpace {
    let space = NetworkSpace(
      name: "\(prefix)\(getpid())-\(number)",
      address: Address(ipv4: 0x0A4D_0001 + UInt32(number), port: 7574)
    )
    try Child.run("ip", ["netns", "add", space.name])
    do throws(EmulationError) {
      // Without an address of its own making the device says nothing by itself.
      let steps = """
        link set lo up
        tuntap add dev \(device) mode tun
        link set \(device) addrgenmode none
        address add \(space.host)/16 dev \(device)
        link set \(device) up txqueuelen 5000

        """
      try Child.run("ip", ["-batch", "-"], in: space.name, input: steps)
    } catch {
      space.delete()
      throw error
    }
    return space
  }

  /// The address without its port, as tools write it.
  var host: String { address.description.split(separator: ":").first.map(String.init) ?? "" }

  /// Limits what leaves it: a token bucket of one packet, in front of which packets wait.
  func limit(to rate: UInt64, queue: Duration) throws(EmulationError) {
    guard rate > 0 else {
      // Fails where there was no limit.
      try? Child.run("tc", ["qdisc", "delete", "dev", Self.device, "root"], in: name)
      return
    }
    let microseconds = max(1, queue.nanoseconds / 1000)
    try Child.run(
      "tc",
      [
        "qdisc", "replace", "dev", Self.device, "root", "tbf", "rate", "\(rate)bit",
        "burst", "\(Self.bucket)", "latency", "\(microseconds)us",
      ],
      in: name
    )
  }

  /// What its firewall does.
  struct Filter {
    /// The part of what arrives that it loses.
    var loss = 0.0
    /// Whether only those get in to whom something was sent before.
    var isRestricted = false
    /// Datagrams of so many bytes and more do not leave.
    var longest: Int?
  }

  func filter(_ filter: Filter) throws(EmulationError) {
    var arriving: [String] = []
    if filter.isRestricted { arriving.append("ct state new drop") }
    if filter.loss > 0 {
      arriving.append("numgen random mod 1000000 < \(Int((filter.loss * 1e6).rounded())) drop")
    }
    // The length that UDP says counts its own header.
    let leaving = filter.longest.map { ["udp length >= \($0 + 8) drop"] } ?? []
    let rules =
      "flush ruleset\n" + Self.chain("input", "iifname", arriving) + Self.chain("output", "oifname", leaving)
    try Child.run("nft", ["-f", "-"], in: name, input: rules)
  }

  /// A table with one chain, for what passes the device on a hook.
  private static func chain(_ hook: String, _ interface: String, _ rules: [String]) -> String {
    let lines = rules.map { "    \(interface) \"\(device)\" \($0)\n" }.joined()
    return rules.isEmpty
      ? "" : "table inet \(hook) {\n  chain lab {\n    type filter hook \(hook) priority 0\n\(lines)  }\n}\n"
  }

  /// How many packets did not leave because too many waited.
  func overflowed() -> UInt64 {
    guard let output = try? Scratch(),
      let child = try? Child.start(
        "tc",
        ["-s", "qdisc", "show", "dev", Self.device],
        in: name,
        Child.Streams(output: output.descriptor)
      ), child.wait() == 0
    else { return 0 }
    // "Sent 1 bytes 2 pkt (dropped 3, overlimits …"
    let text = output.text
    guard let mark = text.firstRange(of: "(dropped ") else { return 0 }
    return UInt64(text[mark.upperBound...].prefix { $0.isNumber }) ?? 0
  }

  func delete() { try? Child.run("ip", ["netns", "delete", name]) }

  /// Ends what a process that is gone has left behind: its peers, and their namespaces.
  static func deleteStale() {
    for name in names where !isAlive(name) {
      for process in processes(in: name) { kill(process, SIGKILL) }
      NetworkSpace(name: name, address: Address(ipv4: 0, port: 0)).delete()
    }
  }

  private static var names: [String] {
    guard let folder = unsafe opendir(folder) else { return [] }
    defer { unsafe closedir(folder) }
    var names: [String] = []
    while let entry = unsafe readdir(folder) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { start in
        unsafe start.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name.hasPrefix(prefix) { names.append(name) }
    }
    return names
  }

  /// Whether the process that made a namespace is still there.
  private static func isAlive(_ name: String) -> Bool {
    let maker = name.dropFirst(prefix.count).prefix { $0 != "-" }
    guard let process = pid_t(maker), process > 0 else { return true }
    return kill(process, 0) == 0 || errno != ESRCH
  }

  private static func processes(in space: String) -> [pid_t] {
    guard let output = try? Scratch(),
      let child = try? Child.start(
        "ip",
        ["netns", "pids", space],
        in: nil,
        Child.Streams(output: output.descriptor)
      ), child.wait() == 0
    else { return [] }
    return output.text.split(separator: "\n").compactMap { pid_t($0) }.filter { $0 > 0 }
  }
}

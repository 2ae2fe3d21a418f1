internal import Glibc
internal import Lab
internal import Net
internal import PluginKit

/// Network namespaces, one for each peer, and the emulated network between them.
///
/// Gone with the value, and with the next one's making when this process died before.
package struct Testbed: ~Copyable {
  /// The most peers, the source included.
  package static let limit = EmulatedNetwork.hostLimit
  /// The system lets nothing out of a device before it has noticed that somebody is at it.
  private static let warmUp = Duration.milliseconds(1500)

  /// Small beside the ways of scenarios, of 10 ms and more.
  private static let tick = Duration.milliseconds(2)

  private let owned: Spaces
  var spaces: [NetworkSpace] { owned.spaces }
  var emulation: Emulation

  /// Why nothing can be emulated here, as a sentence; `nil` when it can, as far as one sees without trying.
  package static var obstacle: String? {
    let need = "it needs root, /dev/net/tun, and ip, tc and nft (Debian's packages iproute2 and nftables)"
    guard geteuid() == 0 else { return "\(need): you are not root" }
    guard unsafe access("/dev/net/tun", R_OK | W_OK) == 0 else { return "\(need): there is no /dev/net/tun" }
    for tool in ["ip", "tc", "nft"] where (try? Child.run(tool, ["-V"])) == nil {
      return "\(need): there is no \(tool)"
    }
    return nil
  }

  /// Makes so many namespaces, at most ``limit``.
  ///
  /// From now on until it is gone, SIGINT and SIGTERM are only heard by ``EmulatedRun/run(on:progress:)``.
  ///
  /// - Throws: `EmulationError`, `NetError`.
  package static func open(hosts: Int) throws -> Testbed {
    NetworkSpace.deleteStale()
    let owned = Spaces()
    for number in 0..<hosts { owned.spaces.append(try NetworkSpace.create(number)) }
    let emulation = try Emulation(
      Path(),
      seed: 1,
      hosts: owned.spaces.map { Emulation.Host(namespace: $0.name, addresses: [$0.address]) },
      device: NetworkSpace.device
    )
    var testbed = Testbed(owned, emulation)
    testbed.emulation.tick = Self.tick
    bePrompt()
    _ = try testbed.emulation.run(until: testbed.emulation.clock.now + Self.warmUp)
    return testbed
  }

  private init(_ owned: Spaces, _ emulation: consuming Emulation) {
    self.owned = owned
    self.emulation = emulation
  }

  // While the signals are still heard, so that an impatient user does not leave anything behind.
  deinit { owned.delete() }

  /// Namespaces that go when nobody needs them, also when the next one could not be made.
  private final class Spaces {
    var spaces: [NetworkSpace] = []

    func delete() {
      for space in spaces { space.delete() }
      spaces = []
    }

    deinit { delete() }
  }
}

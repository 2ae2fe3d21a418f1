internal import CSockets
internal import Glibc

/// A network interface in some network namespace whose other end is this process: whole IP packets in and out.
package final class TunnelDevice {
  package let descriptor: Int32

  /// Attaches to a TUN device, and makes it when it is not there.
  ///
  /// - Parameters:
  ///   - name: the interface's, at most 15 bytes.
  ///   - namespace: one that `ip netns add` made; this process stays in its own.
  /// - Throws: ``NetError/noTunnel(_:namespace:_:)``.
  package init(_ name: String, in namespace: String) throws(NetError) {
    descriptor = unsafe freshet_tunnel_open(name, namespace)
    guard descriptor >= 0 else { throw .noTunnel(name, namespace: namespace, SystemError(code: -descriptor)) }
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
  }

  /// Takes one packet that the namespace sends; returns its length, or nil when none waits.
  package func read(into packet: inout MutableSpan<UInt8>) -> Int? {
    let descriptor = descriptor
    let count = unsafe packet.withUnsafeMutableBytes { buffer in
      guard let start = buffer.baseAddress else { return Int32(-1) }
      return unsafe freshet_tunnel_read(descriptor, start, buffer.count)
    }
    return count < 0 ? nil : Int(count)
  }

  /// Lets one packet arrive in the namespace; false when it does not take it.
  package func write(_ packet: Span<UInt8>) -> Bool {
    unsafe packet.withUnsafeBytes { buffer in
      guard let start = buffer.baseAddress else { return false }
      return unsafe freshet_tunnel_write(descriptor, start, buffer.count) == 0
    }
  }
}

/// Lets the calling thread run before ordinary ones and its waits end on time; false when the system refuses.
@discardableResult
package func bePrompt() -> Bool { freshet_be_prompt() == 0 }

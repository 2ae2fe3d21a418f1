internal import Glibc

/// What went wrong with an address, a socket or the event loop, as one sentence for the user.
package enum NetError: Error, Hashable, CustomStringConvertible {
  case notAnAddress(String, reason: String)
  case unknownHost(String, reason: String)
  case cannotListen(String, SystemError)
  case outOfMemory
  case loop(SystemError)
  case noTunnel(String, namespace: String, SystemError)

  package var description: String {
    switch self {
    case .notAnAddress(let text, let reason): "'\(text)' is no address: \(reason)"
    case .unknownHost(let host, let reason): "cannot find the host '\(host)': \(reason)"
    case .cannotListen(let address, .addressInUse):
      "cannot listen on \(address): address already in use; choose another port with --listen"
    case .cannotListen(let address, .noSuchAddress):
      "cannot listen on \(address): this machine does not have that address"
    case .cannotListen(let address, .notPermitted):
      "cannot listen on \(address): permission denied; ports below 1024 belong to root"
    case .cannotListen(let address, let reason): "cannot listen on \(address): \(reason)"
    case .outOfMemory: "there is no memory left for a socket"
    case .noTunnel(_, let space, .noSuchFile):
      "there is no network namespace '\(space)', or no /dev/net/tun on this machine"
    case .noTunnel(let name, let space, .notPermitted), .noTunnel(let name, let space, .needsRoot):
      "cannot open the TUN device '\(name)' in the network namespace '\(space)': this needs root"
    case .noTunnel(let name, let space, let reason):
      "cannot open the TUN device '\(name)' in the network namespace '\(space)': \(reason)"
    case .loop(let reason): "cannot wait for input: \(reason)"
    }
  }
}

/// A reason that the system gave.
package struct SystemError: Error, Hashable, CustomStringConvertible {
  /// As in `errno`.
  package let code: Int32

  package init(code: Int32) { self.code = code }

  package static let addressInUse = SystemError(code: EADDRINUSE)
  package static let noSuchAddress = SystemError(code: EADDRNOTAVAIL)
  package static let notPermitted = SystemError(code: EACCES)
  package static let needsRoot = SystemError(code: EPERM)
  package static let noSuchFile = SystemError(code: ENOENT)

  package var description: String {
    let text = unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
    return text.prefix(1).lowercased() + text.dropFirst()
  }

  /// Throws when a call of the shim failed, and returns what it returned.
  @discardableResult
  static func check(_ result: Int32) throws(SystemError) -> Int32 {
    if result < 0 { throw SystemError(code: -result) }
    return result
  }
}

internal import Glibc

/// A folder that something writes its files to.
package struct OutputFolder: Sendable {
  /// Why something cannot be written, as a sentence.
  package struct Failure: Error, CustomStringConvertible {
    package let description: String

    init(_ path: String, _ code: Int32) {
      description = "\(path) cannot be written: \(unsafe String(cString: strerror(code)))"
    }
  }

  package let path: String

  /// Makes a new folder.
  ///
  /// Throws ``Failure``; also when there is something already.
  package init(new path: String) throws(Failure) {
    guard unsafe mkdir(path, 0o777) == 0 else { throw Failure(path, errno) }
    self.path = path
  }

  /// Takes one that is there.
  package init(existing path: String) { self.path = path }

  /// The first of `lab-NAME`, `lab-NAME-2`, … that does not exist.
  package static func freeName(_ scenario: String) -> String {
    var number = 1
    while true {
      let name = "lab-\(scenario)" + (number == 1 ? "" : "-\(number)")
      var status = stat()
      if unsafe lstat(name, &status) != 0 { return name }
      number += 1
    }
  }

  /// Writes a whole file, whose folder is made when it is not there.
  package func write(_ name: String, _ bytes: [UInt8], isExecutable: Bool = false) throws(Failure) {
    if let slash = name.lastIndex(of: "/") { unsafe mkdir(path + "/" + name[..<slash], 0o777) }
    let file = path + "/" + name
    let descriptor = unsafe open(
      file,
      O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
      isExecutable ? 0o777 : 0o666
    )
    guard descriptor >= 0 else { throw Failure(file, errno) }
    defer { close(descriptor) }
    try Self.put(bytes, descriptor, file)
  }

  /// Writes text as ``write(_:_:isExecutable:)`` does.
  package func write(_ name: String, _ text: String, isExecutable: Bool = false) throws(Failure) {
    try write(name, Array(text.utf8), isExecutable: isExecutable)
  }

  static func put(_ bytes: [UInt8], _ descriptor: Int32, _ path: String) throws(Failure) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count > 0 {
        rest = rest.dropFirst(count)
      } else if errno != EINTR {
        throw Failure(path, errno)
      }
    }
  }
}

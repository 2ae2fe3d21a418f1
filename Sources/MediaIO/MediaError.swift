internal import CFFmpeg

/// What went wrong with an input or an output, as one sentence.
public struct MediaError: Error, Equatable, Sendable, CustomStringConvertible {
  public let description: String

  init(_ description: String) {
    self.description = description
  }
}

/// A code that libav returned.
struct FFmpegError: Error, Equatable, CustomStringConvertible {
  let code: Int32

  static let endOfFile = FFmpegError(code: freshet_AVERROR_EOF)
  static let exit = FFmpegError(code: freshet_AVERROR_EXIT)
  static let again = FFmpegError(code: freshet_AVERROR(EAGAIN))
  static let outOfMemory = FFmpegError(code: freshet_AVERROR(ENOMEM))

  var description: String {
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      guard let start = buffer.baseAddress, unsafe av_strerror(code, start, 256) >= 0 else {
        return "error \(code)"
      }
      return unsafe String(cString: start)
    }
  }
}

/// Throws when a libav call failed, and returns what it returned.
@discardableResult
func check(_ code: Int32) throws(FFmpegError) -> Int32 {
  if code < 0 { throw FFmpegError(code: code) }
  return code
}

/**
 * A CID set file through the bridge: never more of it in memory than a few pieces. A reader that is slow slows DICT's file server down, one
 * that goes away ends the download.
 */

import { once } from 'node:events';
import { create } from '@bufbuild/protobuf';
import type { handleServerStreamingCall, ServerWritableStream } from '@grpc/grpc-js';
import type { DictApi } from '../../dict/api.ts';
import type { Logger } from '../../platform/log.ts';
import {
  type DownloadCidSetFileRequest,
  type DownloadCidSetFileResponse,
  DownloadCidSetFileResponseSchema,
} from './generated/dict/bridge/v1/bridge_pb.ts';
import { numberOf, textOf } from './request-reading.ts';
import { cancellationOf, statusObjectOf } from './server-call.ts';

/** The largest piece, whatever size DICT's file server sends. */
const CHUNK_BYTES_MAX = 65_536;

type Call = ServerWritableStream<DownloadCidSetFileRequest, DownloadCidSetFileResponse>;

/** `DownloadCidSetFile` as grpc-js calls it. */
export function downloadHandler(
  log: Pick<Logger, 'debug' | 'error'>,
  dict: Pick<DictApi, 'downloadCidSetFile'>,
): handleServerStreamingCall<DownloadCidSetFileRequest, DownloadCidSetFileResponse> {
  return (call) => {
    const signal = cancellationOf(call);
    const answer = async (): Promise<void> => {
      try {
        await send(dict, call, signal);
        call.end();
      } catch (error) {
        // grpc-js takes a status out of an emitted error, and nobody listens any more where the call was given up.
        if (!signal.aborted) call.emit('error', statusObjectOf(log, 'downloadCidSetFile', error, signal));
      }
    };
    void answer();
  };
}

async function send(dict: Pick<DictApi, 'downloadCidSetFile'>, call: Call, signal: AbortSignal): Promise<void> {
  const url = textOf(call.request.url, 'url');
  const bytesMax = numberOf(call.request.bytesMax, 'bytes_max', 1, Number.MAX_SAFE_INTEGER);
  const from = numberOf(call.request.offset, 'offset', 0, bytesMax);
  for await (const bytes of dict.downloadCidSetFile({ url, bytesMax, ...(from === 0 ? {} : { from }) }, { signal })) {
    for (let from = 0; from < bytes.length; from += CHUNK_BYTES_MAX) {
      const chunk = bytes.subarray(from, from + CHUNK_BYTES_MAX);
      const hasRoom = call.write(create(DownloadCidSetFileResponseSchema, { chunk }));
      if (!hasRoom) await once(call, 'drain', { signal });
    }
  }
}

/**
 * How a TLS connection to DICT comes to stand, for undici: both sides prove themselves anew on every connection, and a connection is
 * handed on only once the server has accepted our certificate. Failures are named in tls-failure.ts.
 *
 * In TLS 1.3 the client is done before the server has looked at the client's certificate: a refusal arrives when the request is
 * already on its way, or is lost with the reset that answers it. So we wait for the server's first sign of acceptance, a session
 * ticket. That costs one round trip per connection, and says for sure that nothing was sent where the certificate is refused.
 */

import { X509Certificate } from 'node:crypto';
import { type DetailedPeerCertificate, TLSSocket } from 'node:tls';
import { buildConnector } from 'undici';
import { leadsTo, type TlsIdentity } from '../platform/tls-files.ts';

/** For servers that send no tickets: their refusals come within this, or on the first read. */
const ACCEPTANCE_MS = 150;

/** A chain that leads to no trusted authority but only to one that lay beside our key. */
class ChainRefused extends Error {
  override readonly name = 'ChainRefused';
  readonly code = 'UNABLE_TO_GET_ISSUER_CERT';
}

/** The connection went while the server was looking at our certificate. */
class ClosedInHandshake extends Error {
  override readonly name = 'ClosedInHandshake';
  readonly code = 'ECONNRESET';
}

/** A connector; `failed` is told of each connection that did not come to stand. */
export function tlsConnector(identity: TlsIdentity, connectMs: number, failed: (error: Error) => void): buildConnector.connector {
  const connect = buildConnector({
    timeout: connectMs,
    secureContext: identity.context,
    // Said because the environment (NODE_TLS_REJECT_UNAUTHORIZED) would else decide.
    rejectUnauthorized: true,
    // Resumed sessions would skip the certificates, ours and theirs, and outlive their validity.
    maxCachedSessions: 0,
    allowH2: false,
  });
  return (options, done) => {
    const refuse = (error: Error): void => {
      failed(error);
      done(error, null);
    };
    const acceptance = Promise.withResolvers<void>();
    // What the types leave out: the connector returns the socket that it has begun to connect.
    const started: unknown = connect(options, (error, socket) => {
      if (error !== null) return refuse(error);
      if (!(socket instanceof TLSSocket)) return done(null, socket);
      if (identity.anchors !== null && !leadsTo(identity.anchors, chainOf(socket))) {
        const refusal = new ChainRefused('the server’s chain ends at no trusted authority');
        socket.destroy(refusal);
        return refuse(refusal);
      }
      whenAccepted(socket, acceptance.promise, (refusal) => (refusal === null ? done(null, socket) : refuse(refusal)));
    });
    // The ticket may arrive with the end of the handshake. It is told from inside OpenSSL's reading, where nothing may be written yet.
    if (started instanceof TLSSocket) started.once('session', () => setImmediate(acceptance.resolve));
  };
}

/** Calls back once, when the server has accepted us, has refused, or has said nothing for a while. */
function whenAccepted(socket: TLSSocket, ticket: Promise<void>, done: (refusal: Error | null) => void): void {
  // Up to 1.2 the handshake itself ends with the server's acceptance.
  if (socket.getProtocol() !== 'TLSv1.3') {
    done(null);
    return;
  }
  let pending = true;
  const settle = (refusal: Error | null): void => {
    if (!pending) return;
    pending = false;
    clearTimeout(timer);
    socket.off('error', settle).off('close', closed);
    if (refusal !== null) socket.destroy();
    done(refusal);
  };
  const closed = (): void => settle(new ClosedInHandshake('the connection was closed as soon as it stood'));
  const timer = setTimeout(() => settle(null), ACCEPTANCE_MS);
  socket.once('error', settle).once('close', closed);
  void ticket.then(() =>
    settle(socket.destroyed ? new ClosedInHandshake('the connection was closed as soon as it stood') : null),
  );
}

/** What the server sent, its own certificate first. */
function chainOf(socket: TLSSocket): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  let link: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  // Ends at a certificate that names itself as its issuer, which Node does by a circle, or after sixteen.
  while (link?.raw !== undefined && chain.length < 16) {
    const { raw }: { raw: Buffer } = link;
    if (chain.some((known) => known.raw.equals(raw))) break;
    chain.push(new X509Certificate(raw));
    link = link.issuerCertificate;
  }
  return chain;
}

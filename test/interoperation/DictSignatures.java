// The JDK's own XML signatures (javax.xml.crypto, secure validation on) against ours, both ways, as the Central Bank's sample for
// Java does it. Run by test/xml-signatures.test.ts: java DictSignatures.java DIRECTORY
//
// DIRECTORY/certificate.pem, key.pem (PKCS#8)   the certificate to look up by issuer and serial, and its key
// DIRECTORY/ours/*.xml     documents to verify: a line "NAME valid" or "NAME REASON" each
// DIRECTORY/plain/*.xml    documents to sign into DIRECTORY/signed/

import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Key;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import javax.security.auth.x500.X500Principal;
import javax.xml.crypto.AlgorithmMethod;
import javax.xml.crypto.KeySelector;
import javax.xml.crypto.KeySelectorResult;
import javax.xml.crypto.XMLCryptoContext;
import javax.xml.crypto.XMLStructure;
import javax.xml.crypto.dsig.CanonicalizationMethod;
import javax.xml.crypto.dsig.DigestMethod;
import javax.xml.crypto.dsig.Reference;
import javax.xml.crypto.dsig.SignedInfo;
import javax.xml.crypto.dsig.Transform;
import javax.xml.crypto.dsig.XMLSignature;
import javax.xml.crypto.dsig.XMLSignatureFactory;
import javax.xml.crypto.dsig.dom.DOMSignContext;
import javax.xml.crypto.dsig.dom.DOMValidateContext;
import javax.xml.crypto.dsig.keyinfo.KeyInfo;
import javax.xml.crypto.dsig.keyinfo.KeyInfoFactory;
import javax.xml.crypto.dsig.keyinfo.X509Data;
import javax.xml.crypto.dsig.keyinfo.X509IssuerSerial;
import javax.xml.crypto.dsig.spec.C14NMethodParameterSpec;
import javax.xml.crypto.dsig.spec.TransformParameterSpec;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.transform.stream.StreamResult;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.Node;

public final class DictSignatures {
  private static final String RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
  private static final String KEY_INFO_ID = "key-info-id";
  private static final XMLSignatureFactory FACTORY = XMLSignatureFactory.getInstance("DOM");

  private final X509Certificate certificate;
  private final PrivateKey key;

  private DictSignatures(X509Certificate certificate, PrivateKey key) {
    this.certificate = certificate;
    this.key = key;
  }

  public static void main(String[] arguments) throws Exception {
    Path directory = Path.of(arguments[0]);
    byte[] pem = Files.readAllBytes(directory.resolve("certificate.pem"));
    var certificate = (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(new ByteArrayInputStream(pem));
    String body = Files.readString(directory.resolve("key.pem")).replaceAll("-----[^-]*-----|\\s", "");
    var key = KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(body)));
    var signatures = new DictSignatures(certificate, key);
    for (Path file : documents(directory.resolve("ours"))) {
      System.out.println(file.getFileName() + " " + signatures.verdict(file));
    }
    Files.createDirectories(directory.resolve("signed"));
    for (Path file : documents(directory.resolve("plain"))) {
      signatures.sign(file, directory.resolve("signed").resolve(file.getFileName()));
    }
  }

  private static List<Path> documents(Path directory) throws Exception {
    try (var files = Files.list(directory)) {
      return files.sorted().toList();
    }
  }

  private static Document parse(Path file) throws Exception {
    var factory = DocumentBuilderFactory.newInstance();
    factory.setNamespaceAware(true);
    factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
    return factory.newDocumentBuilder().parse(file.toFile());
  }

  private String verdict(Path file) {
    try {
      Document document = parse(file);
      Element signature = (Element) document.getDocumentElement().getFirstChild();
      var context = new DOMValidateContext(new ByIssuerAndSerial(), signature);
      context.setProperty("org.jcp.xml.dsig.secureValidation", Boolean.TRUE);
      var keyInfo = (Element) signature.getElementsByTagNameNS(XMLSignature.XMLNS, "KeyInfo").item(0);
      context.setIdAttributeNS(keyInfo, null, "Id");
      return FACTORY.unmarshalXMLSignature(context).validate(context) ? "valid" : "invalid";
    } catch (Exception exception) {
      return exception.toString().replaceAll("\\s+", " ");
    }
  }

  private void sign(Path from, Path to) throws Exception {
    Document document = parse(from);
    Element root = document.getDocumentElement();
    DigestMethod sha256 = FACTORY.newDigestMethod(DigestMethod.SHA256, null);
    Transform exclusive = FACTORY.newTransform(CanonicalizationMethod.EXCLUSIVE, (TransformParameterSpec) null);
    Transform enveloped = FACTORY.newTransform(Transform.ENVELOPED, (TransformParameterSpec) null);
    List<Reference> references = new ArrayList<>();
    references.add(FACTORY.newReference("#" + KEY_INFO_ID, sha256, List.of(exclusive), null, null));
    references.add(FACTORY.newReference("", sha256, List.of(enveloped, exclusive), null, null));
    SignedInfo signedInfo =
        FACTORY.newSignedInfo(
            FACTORY.newCanonicalizationMethod(CanonicalizationMethod.EXCLUSIVE, (C14NMethodParameterSpec) null),
            FACTORY.newSignatureMethod(RSA_SHA256, null),
            references);
    KeyInfoFactory keyInfos = FACTORY.getKeyInfoFactory();
    X509IssuerSerial issuerSerial =
        keyInfos.newX509IssuerSerial(certificate.getIssuerX500Principal().getName(), certificate.getSerialNumber());
    KeyInfo keyInfo = keyInfos.newKeyInfo(List.of(keyInfos.newX509Data(List.of(issuerSerial))), KEY_INFO_ID);
    Node first = root.getFirstChild();
    var context = first == null ? new DOMSignContext(key, root) : new DOMSignContext(key, root, first);
    context.setDefaultNamespacePrefix("ds");
    FACTORY.newXMLSignature(signedInfo, keyInfo).sign(context);
    try (var out = Files.newOutputStream(to)) {
      TransformerFactory.newInstance().newTransformer().transform(new DOMSource(document), new StreamResult(out));
    }
  }

  /** The trust store of one certificate, looked up as DICT's participants do. */
  private final class ByIssuerAndSerial extends KeySelector {
    @Override
    public KeySelectorResult select(KeyInfo keyInfo, Purpose purpose, AlgorithmMethod method, XMLCryptoContext context) {
      for (XMLStructure structure : keyInfo.getContent()) {
        if (!(structure instanceof X509Data data)) continue;
        for (Object entry : data.getContent()) {
          if (!(entry instanceof X509IssuerSerial named)) continue;
          boolean issuer = new X500Principal(named.getIssuerName()).equals(certificate.getIssuerX500Principal());
          if (issuer && named.getSerialNumber().equals(certificate.getSerialNumber())) return certificate::getPublicKey;
        }
      }
      return () -> (Key) null;
    }
  }
}

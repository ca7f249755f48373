// The invoice of ../mails/invoice_12_rows written in React Email, without JSX so that it needs no build step.
import { createElement as h, Fragment } from "react";
import {
  Body, Button, Column, Container, Head, Heading, Html, Link, Preview, Row, Section, Text,
} from "@react-email/components";

const FONT = "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";
const HEAD = {
  color: "#57665e", fontSize: "13px", lineHeight: "18px", fontWeight: 400, textAlign: "left", verticalAlign: "bottom",
  borderBottom: "2px solid #c3cec6", padding: "0 10px 8px 0",
};
const CELL = {
  color: "#12211a", fontSize: "15px", lineHeight: "22px", textAlign: "left", verticalAlign: "top",
  borderBottom: "1px solid #dbe2dc", padding: "11px 10px 11px 0", wordBreak: "break-word",
};
const SUM = { ...CELL, textAlign: "right", whiteSpace: "nowrap", padding: "11px 0" };
const NAME = { color: "#00613f", fontSize: "15px", lineHeight: "22px", fontWeight: 600, textDecoration: "underline" };
const NOTE = { color: "#57665e", fontSize: "13px", lineHeight: "18px", letterSpacing: "0.1px", margin: 0 };
const STATE = {
  fontSize: "12px", lineHeight: "18px", fontWeight: 700, textTransform: "uppercase", letterSpacing: "0.6px",
  padding: "2px 0 0", margin: 0,
};
const TEXT = { fontFamily: FONT, fontSize: "16px", lineHeight: "26px", color: "#34433b", margin: "0 0 12px" };
const TITLE = { fontFamily: FONT, fontSize: "28px", lineHeight: "36px", fontWeight: 700, color: "#12211a" };
const BUTTON = {
  padding: "15px 30px", backgroundColor: "#00613f", color: "#ffffff", borderRadius: "6px", fontFamily: FONT, fontSize: "16px",
};
const SMALL = { ...TEXT, fontSize: "14px", lineHeight: "22px", color: "#57665e" };
const EDGE = { padding: "36px 40px 16px" };
const CARD = { backgroundColor: "#ffffff", borderTop: "5px solid #00613f", padding: "36px 40px 40px" };
const TOTAL = { ...TITLE, textAlign: "right", padding: "18px 0 0" };

const line = (one, index) =>
  h(Row, { key: index },
    h(Column, { style: CELL, width: "45%" },
      h(Link, { href: one.link, title: one.code, style: NAME }, one.label),
      h(Text, { style: NOTE }, "Les conditions générales de service de votre contrat s’appliquent à cette ligne de facturation, relevée par nos équipes à la fin de la période indiquée ci-contre."),
      h(Text, { style: { ...STATE, color: one.color } }, one.state)),
    h(Column, { style: CELL }, one.period),
    h(Column, { style: CELL }, one.quantity),
    h(Column, { style: SUM }, one.price),
    h(Column, { style: SUM }, one.amount));

export const Invoice = (values) =>
  h(Html, { lang: "fr" },
    h(Head, null, h("title", null, `Facture ${values.number}`)),
    h(Preview, null, `${values.total} à payer avant le ${values.due}`),
    h(Body, { style: { backgroundColor: "#ebeee9", fontFamily: FONT } },
      h(Container, { style: { maxWidth: "600px" } },
        h(Section, { style: EDGE }, h(Text, { style: { ...TITLE, fontSize: "26px" } }, "RGZ")),
        h(Section, { style: CARD },
          h(Heading, { style: TITLE }, `Facture ${values.number} du mois de ${values.month} ${values.year}`),
          h(Text, { style: TEXT }, "Bonjour ", values.company, ","),
          h(Text, { style: TEXT },
            values.paid
              ? "Votre facture est payée, merci."
              : h(Fragment, null, "Merci de régler ", values.total, " avant le ", values.due, ".")),
          h(Row, null,
            ["Prestation", "Période", "Quantité", "Prix", "Montant"].map((name) => h(Column, { key: name, style: HEAD }, name))),
          values.lines.map(line),
          h(Row, null, h(Column, { style: TOTAL }, values.total)),
          h(Button, { href: values.link_portal, style: BUTTON }, "Télécharger la facture"),
          h(Text, { style: SMALL }, "ou en pièce jointe ci-dessous."),
          h(Heading, { as: "h2", style: { ...TITLE, fontSize: "18px", lineHeight: "26px" } }, "Comment payer"),
          h(Text, { style: TEXT },
            "Par virement au compte indiqué sur la facture, ou par paiement mobile au numéro de votre contrat, " +
            "avec le numéro de la facture en référence.")),
        h(Section, { style: EDGE },
          h(Text, { style: SMALL },
            "RGZ SA, Cotonou. Une question sur cette facture ? Répondez à ce message, " +
            "ou appelez-nous du lundi au vendredi de 8 h à 18 h.")),
        h(Section, { style: EDGE },
          h(Text, { style: SMALL },
            "Vous recevez ce message parce que cette adresse est le contact de facturation de ", values.company, ".")))));

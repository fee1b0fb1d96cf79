"""Words of a German energy utility, from which names and texts are put together."""

PRODUCT_LINES = (
    ("Wärmepumpe", "waermepumpe"),
    ("Photovoltaik", "photovoltaik"),
    ("Hausanschluss", "hausanschluss"),
    ("Wallbox", "wallbox"),
    ("Ökostrom", "oekostrom"),
    ("Biogas", "biogas"),
    ("Fernwärme", "fernwaerme"),
    ("Glasfaser", "glasfaser"),
    ("Mieterstrom", "mieterstrom"),
    ("Energieberatung", "energieberatung"),
    ("Batteriespeicher", "batteriespeicher"),
    ("Netzeinspeisung", "netzeinspeisung"),
)
REGIONS = (
    ("Köln", "koeln"),
    ("Düsseldorf", "duesseldorf"),
    ("München", "muenchen"),
    ("Nürnberg", "nuernberg"),
    ("Lübeck", "luebeck"),
    ("Göttingen", "goettingen"),
    ("Tübingen", "tuebingen"),
    ("Görlitz", "goerlitz"),
)

JOURNEYS = (
    ("Startseite", "contact"),
    ("Anfrage", "opportunity"),
    ("Angebotsrechner", "opportunity"),
    ("Vertragsabschluss", "order"),
    ("Zählerstand melden", "opportunity"),
    ("Umzug anzeigen", "contract"),
    ("Vor-Ort-Termin", "opportunity"),
    ("Kündigung", "contract"),
)
EMAILS = (
    "Eingangsbestätigung",
    "Angebot unterwegs",
    "Auftragsbestätigung",
    "Terminbestätigung",
    "Rückfrage zu Ihren Unterlagen",
    "Rechnung liegt bereit",
    "Abschlag geändert",
    "Willkommen im Kundenportal",
    "Passwort zurücksetzen",
    "Kündigungsbestätigung",
)
DOCUMENTS = ("Angebot", "Auftragsbestätigung", "Vollmacht", "Serienbrief")
FILES = (
    ("Logo", "svg"),
    ("Titelbild", "svg"),
    ("Datenblatt", "pdf"),
    ("Preisblatt", "pdf"),
    ("AGB", "pdf"),
    ("Widerrufsbelehrung", "pdf"),
    ("Straßenverzeichnis", "csv"),
    ("Verfügbarkeit", "csv"),
    ("Portalbanner", "svg"),
    ("Pressemappe", "pdf"),
)
PRODUCTS = (
    "Basis",
    "Komfort",
    "Premium",
    "Familie",
    "Gewerbe",
    "Nachtspeicher",
    "Wartungsvertrag",
    "Installation",
    "Förderservice",
    "Smart Meter",
    "Notdienst",
    "Finanzierung",
    "Rückbau",
    "Monitoring",
)
PRICES = ("Grundpreis", "Arbeitspreis", "Anschlusspauschale", "Servicegebühr", "Messentgelt", "Rabattstaffel")
COUPONS = ("Frühbucher", "Neukunde", "Treuebonus", "Nachbarn werben", "Sommeraktion")
CLOSING_REASONS = (
    "Kunde hat abgesagt",
    "Technisch nicht möglich",
    "Mitbewerber günstiger",
    "Doppelt angelegt",
    "طلب العميل الإلغاء",
    "お客様都合によるキャンセル",
)
SAVED_VIEWS = (
    "Offene Anfragen",
    "Überfällige Aufträge 🔥",
    "Meine Verträge",
    "Neue Kontakte",
    "Ruhende Vorgänge",
    "最近の注文",
)
DASHBOARDS = ("Vertrieb", "Kundenservice")
KANBANS = ("Auftragsboard", "Netzanschlüsse", "Reklamationen")
ROLES = ("Vertrieb", "Sachbearbeitung", "Leitung")
GROUPS = ("Team Vertrieb", "Team Technik", "Team Abrechnung")
PURPOSES = ("Neuanschluss", "Modernisierung", "Bestand")
LABELS = ("Hochspannung", "Niederspannung", "Einfamilienhaus", "Mehrfamilienhaus", "Gewerbeobjekt")
NOTIFICATIONS = ("Neue Anfrage eingegangen", "Dokument hochgeladen", "Aufgabe zugewiesen", "Frist läuft ab ⏰")
TARGETS = ("Haushalte mit Altheizung", "Neubau ab 2024", "Großverbraucher", "Bestandskunden ohne Portal")

LONG_TEXT = " ".join(
    f"Absatz {number}: Für jedes Gebäude prüfen wir Netzverträglichkeit, Heizlast und Förderfähigkeit, stimmen den "
    f"Termin mit Ihrem Fachbetrieb ab und dokumentieren Zählerstände, Leitungswege sowie Übergabepunkte vollständig."
    for number in range(1, 21)
)
"""About 4,000 characters, for descriptions and bodies that are longer than a preview."""

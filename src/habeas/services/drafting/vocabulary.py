"""The phrases that speak for a data category (keys of data-plane §1.10): the table to mend when a proposal is wrong.

A heading says the category, the kinds of values and, if need be, around which tables; the lines below it list
phrases; of two rules for one phrase the upper counts. `#` stands for the words for a number, `@person` for each of
`names.PEOPLE` and `names.STAFF`, `@subject` for the former. A heading without category lists phrases that must not
count for what they end with.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from habeas.services.drafting.kinds import Kind
from habeas.services.drafting.names import PEOPLE, STAFF, Words

_TEXT = frozenset({Kind.TEXT, Kind.OTHER})

_KINDS = {
    "text": _TEXT,
    "number": _TEXT | {Kind.INTEGER, Kind.DECIMAL},
    "id": _TEXT | {Kind.INTEGER, Kind.DECIMAL, Kind.UUID},
    "date": _TEXT | {Kind.TIME},
    "moment": _TEXT | {Kind.TIME, Kind.INTEGER},
    "amount": _TEXT | {Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT},
    "secret": _TEXT | {Kind.BINARY, Kind.UUID},
    "picture": _TEXT | {Kind.BINARY},
    "document": _TEXT | {Kind.DOCUMENT},
    "choice": _TEXT | {Kind.BOOLEAN, Kind.TIME, Kind.INTEGER, Kind.DOCUMENT},
    "network": _TEXT | {Kind.NETWORK, Kind.BINARY},
    "any": frozenset(Kind),
}

_TABLE = """
user.contact.email: text
    email, e mail, mail, email address, e mail address, mail address, emailaddress
user.contact.phone_number: number
    phone, phone #, phonenumber, telephone, telephone #, tel, tel #, mobile, mobile #, mobile phone, cellphone,
    cell phone, cell #, landline, msisdn, whatsapp
user.contact.fax_number: number
    fax, fax #, telefax
user.contact.url: text of people
    website, web site, homepage, home page, url
user.contact.organization: text of people
    company, company name, organisation, organization

user.contact.address: text
    address, addr, full address, postal address, mailing address
user.contact.address.street: number
    street, street name, street #, street address, address street, house #, address line, address line 1,
    address line 2, address line 3, address 1, address 2, address 3, addr 1, addr 2, address1, address2
user.contact.address.city: text
    city, city name, town, address city, address town
user.contact.address.postal_code: number
    postal code, postcode, post code, zip, zip code, zipcode
user.contact.address.state: text
    address state, address province, address region
user.contact.address.state: text beside an address
    state, state code, state name, province, region
user.contact.address.country: text
    address country, address country code, country of residence
user.contact.address.country: text beside an address
    country, country code, country name
user.contact.address.country: text of people
    country, country code, country name
user.location.precise: amount beside an address
    latitude, longitude, lat, lng, lon, long
user.location.precise: amount of people
    latitude, longitude, lat, lng, lon

user.name.first: text
    first name, firstname, fname, given name, givenname, forename
user.name.last: text
    last name, lastname, lname, surname, family name, maiden name
user.name: text
    full name, fullname, middle name, middlename, display name, displayname, preferred name, legal name, @person name,
    author name, owner name, reviewer name, comment author, post author, message author, review author, name on card,
    card holder, card name, cardholder, billing name, bill name, shipping name, ship name, delivery name, invoice name
user.name: text of people
    name
user.account.username: text
    username, user name, login, login name, nickname, screen name
user.job_title: text
    job title, jobtitle, occupation, profession
user.workplace: text
    employer, employer name, workplace

user.demographic.date_of_birth: date
    birth date, birthdate, date of birth, dateofbirth, dob, birthday, birth day
user.demographic.date_of_birth: moment
    birth year, birthyear, year of birth, yob
user.demographic.age_range: number
    age range, age group, age bracket
user.demographic.age_range: number of people
    age
user.demographic.gender: number
    gender, gender code, gender identity, sex
user.demographic.sexual_orientation: text
    sexual orientation
user.demographic.marital_status: text
    marital status, civil status
user.demographic.race_ethnicity: text
    ethnicity, ethnic group, ethnic origin
user.demographic.religious_belief: text
    religion, religious belief, religious affiliation
user.demographic.political_opinion: text
    political opinion, political affiliation
user.demographic.language: text
    preferred language, native language, spoken language, mother tongue
user.demographic.language: text of people
    language, language code, lang, locale
user.demographic: text
    nationality, citizenship

user.government_id.national_identification_number: number
    ssn, social security #, national id, national id #, national insurance #, nino, cpf, bsn, pesel, curp, aadhaar
user.government_id.national_identification_number: text
    tax id, tax #, tax id #, tax identification #
user.government_id.passport_number: number
    passport, passport #
user.government_id.drivers_license_number: number
    drivers license, drivers license #, driver license, driver license #, driving licence, driving licence #,
    driving license, driving license #
user.government_id.vehicle_registration: text
    vin, license plate, licence plate, number plate, plate #
user.government_id.immigration: text
    visa #, residence permit #, immigration status

user.financial.bank_account: text
    iban, bic, swift, swift code, bic code, bank account, bank account name
user.financial.bank_account: number
    bank account #, bank code, bank sort code, bank account sort code, routing #
user.financial.credit_card: number
    credit card, credit card #, card #, cardnumber, cc #, ccn, card pan, card last 4, cvv, cvv 2, cvc, cvc 2, card cvv
user.financial.credit_card: moment
    card expiry, card expires, card expiration, card valid until, card expiry date, card expiration date,
    card exp date, card expires at, card exp month, card exp year, card expiry month, card expiry year
user.financial: amount
    salary, base salary, wage, income, annual income, credit score

user.authorization.password: secret
    password, passwd, pwd, passphrase, password hash, password digest, password salt, encrypted password,
    hashed password, user pass
user.authorization.credentials: secret
    access token, refresh token, auth token, reset token, password token, remember token, confirmation token,
    session token, api key, api token, otp secret, totp secret, mfa secret, security answer, secret answer
user.account.settings: document of people
    settings, preferences
user.privacy_preferences: choice
    opt in, opt out, optin, optout, opted in, opted out, do not track, do not sell, marketing consent, gdpr consent,
    cookie consent
user.privacy_preferences: choice of people
    consent, consent given
user.unique_id.pseudonymous: id
    visitor id, visitor uuid, anonymous id, pseudonymous id, pseudonym
user.unique_id: id
    @subject id, @subject #, @subject uuid, @subject guid, @subject key, @subject ref
user.unique_id: id of people
    uuid, guid, external id
user.social: number
    twitter, twitter handle, facebook, facebook id, instagram, linkedin, linkedin url

user.device: text
    user agent, useragent, browser, device, device name, device type, device model
user.device.ip_address: network
    ip, ip address, ip addr, ipaddress, ipaddr, remote addr
user.device.device_id: id
    device id, device token, device uuid, push token, imei, udid, idfa, mac address
user.device.cookie_id: id
    cookie id, cookie uuid
user.device.cookie: text
    cookie, cookies
user.behavior.browsing_history: text
    referrer, referer, referrer url, landing page, page url, visit page, visited page, visit url, visited url
user.behavior.search_history: text
    search query, search term, search text, search phrase, search keyword

user.content: text
    note, notes, remark, remarks, comment, comments
user.content: text of people
    bio, biography, about me, about
user.content.private: text
    message body, message text, message content, message message, chat message, ticket body, ticket message, email body,
    mail body
user.content.public: text
    review body, review text, review content, comment body, comment text, comment content, post body, post content,
    post text
user.content.self_image: picture
    avatar, avatar url, selfie, profile picture, profile photo, profile image
user.content.self_image: picture of people
    photo, photo url, picture, portrait

user.health_and_medical: text
    blood type, blood group, diagnosis, diagnoses, allergy, allergies, medication, medications, medical history,
    medical condition, symptoms, disability
user.health_and_medical.record_id: id
    mrn, medical record #, medical record id
user.health_and_medical.insurance_beneficiary_id: id
    insurance #, health insurance #, insurance member id, insurance member #

system.operations: moment
    created, created at, created on, created date, created time, createdat, create date, create time, creation date,
    creation time, date created, updated, updated at, updated on, updated date, updatedat, update date, update time,
    date updated, modified, modified at, modified on, modified date, date modified, last modified, last modified at,
    last update, last updated, last updated at, deleted at, inserted at, imported at, synced at

: any
    last login, contract address, wallet address, memory address, return address, reply to email,
    unsubscribed email
"""

_NUMBER_WORDS = ("number", "no", "num", "nr")


class Where(StrEnum):
    """Around what a phrase counts; the words are those of the table."""

    ANYWHERE = ""
    PEOPLE = " of people"
    ADDRESS = " beside an address"


@dataclass(frozen=True, slots=True)
class Rule:
    """A category and what must hold for a phrase to speak for it; without category it speaks for none."""

    category: str
    kinds: frozenset[Kind]
    where: Where


def _read() -> dict[Words, list[Rule]]:
    """The rules of each phrase, in the order of the table."""
    found: dict[Words, list[Rule]] = {}
    rule: Rule | None = None
    for line in filter(None, _TABLE.splitlines()):
        if not line.startswith(" "):
            rule = _read_heading(line)
            continue
        assert rule is not None  # the table begins with a heading
        for phrase in filter(None, line.strip().split(",")):
            for words in _expand(tuple(phrase.split())):
                found.setdefault(words, []).append(rule)
    return found


def _read_heading(line: str) -> Rule:
    category, _, rest = line.partition(": ")
    where = next(where for where in reversed(Where) if rest.endswith(where.value))
    return Rule(category.rstrip(":"), _KINDS[rest.removesuffix(where.value)], where)


def _expand(phrase: Words) -> Iterator[Words]:
    if phrase[0].startswith("@"):
        chosen = PEOPLE if phrase[0] == "@subject" else PEOPLE | STAFF
        for word in sorted(chosen):
            yield from _expand((word, *phrase[1:]))
    elif phrase[-1] == "#":
        yield from ((*phrase[:-1], word) for word in _NUMBER_WORDS)
    else:
        yield phrase


RULES = _read()
CATEGORIES = frozenset(rule.category for rules in RULES.values() for rule in rules if rule.category)
"""Every category that can be proposed."""

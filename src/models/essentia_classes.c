/* Class lists of Essentia's networks in output order, for files that come without their .json. What the .json says always wins:
 * `from` tells how sure each order is ("metadata" was read there; "demo" and "documentation" are the makers' programs and pages). */
#include <string.h>

#include "models/tables.h"

// clang-format off
static const char *const approachability_2c[] = {
    "not approachable", "approachable",
};
static const char *const approachability_3c[] = {
    "low", "mid", "high",
};
static const char *const approachability_regression[] = {
    "approachability",
};
static const char *const danceability[] = {
    "danceable", "not_danceable",
};
static const char *const deam[] = {
    "valence", "arousal",
};
static const char *const emomusic[] = {
    "valence", "arousal",
};
static const char *const engagement_2c[] = {
    "not engaging", "engaging",
};
static const char *const engagement_3c[] = {
    "low", "mid", "high",
};
static const char *const engagement_regression[] = {
    "engagement",
};
static const char *const fs_loop_ds[] = {
    "bass", "chords", "fx", "melody", "percussion",
};
static const char *const gender[] = {
    "female", "male",
};
static const char *const genre_dortmund[] = {
    "alternative", "blues", "electronic", "folkcountr", "funksoulrnb", "jazz", "pop", "raphiphop", "rock",
};
static const char *const genre_electronic[] = {
    "ambient", "dnb", "house", "techno", "trance",
};
static const char *const genre_rosamerica[] = {
    "classic", "dance", "hip hop", "jazz", "pop", "rhythm and blues", "rock", "speech",
};
static const char *const genre_tzanetakis[] = {
    "blues", "classic", "country", "disco", "hip hop", "jazz", "metal", "pop", "reggae", "rock",
};
static const char *const mood_acoustic[] = {
    "acoustic", "non_acoustic",
};
static const char *const mood_aggressive[] = {
    "aggressive", "not_aggressive",
};
static const char *const mood_electronic[] = {
    "electronic", "non_electronic",
};
static const char *const mood_happy[] = {
    "happy", "non_happy",
};
static const char *const mood_party[] = {
    "non_party", "party",
};
static const char *const mood_relaxed[] = {
    "non_relaxed", "relaxed",
};
static const char *const mood_sad[] = {
    "non_sad", "sad",
};
static const char *const moods_mirex[] = {
    "passionate, rousing, confident, boisterous, rowdy", "rollicking, cheerful, fun, sweet, amiable/good natured",
    "literate, poignant, wistful, bittersweet, autumnal, brooding",
    "humorous, silly, campy, quirky, whimsical, witty, wry",
    "aggressive, fiery, tense/anxious, intense, volatile, visceral",
};
static const char *const msd[] = {
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s", "alternative rock",
    "jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul", "indie rock", "Mellow",
    "electronica", "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies", "blues", "hard rock", "ambient",
    "acoustic", "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country", "easy listening",
    "sexy", "catchy", "funk", "electro", "heavy metal", "Progressive rock", "60s", "rnb", "indie pop", "sad", "House",
    "happy",
};
static const char *const mtg_jamendo_genre[] = {
    "60s", "70s", "80s", "90s", "acidjazz", "alternative", "alternativerock", "ambient", "atmospheric", "blues",
    "bluesrock", "bossanova", "breakbeat", "celtic", "chanson", "chillout", "choir", "classical", "classicrock",
    "club", "contemporary", "country", "dance", "darkambient", "darkwave", "deephouse", "disco", "downtempo",
    "drumnbass", "dub", "dubstep", "easylistening", "edm", "electronic", "electronica", "electropop", "ethno",
    "eurodance", "experimental", "folk", "funk", "fusion", "groove", "grunge", "hard", "hardrock", "hiphop", "house",
    "idm", "improvisation", "indie", "industrial", "instrumentalpop", "instrumentalrock", "jazz", "jazzfusion",
    "latin", "lounge", "medieval", "metal", "minimal", "newage", "newwave", "orchestral", "pop", "popfolk", "poprock",
    "postrock", "progressive", "psychedelic", "punkrock", "rap", "reggae", "rnb", "rock", "rocknroll",
    "singersongwriter", "soul", "soundtrack", "swing", "symphonic", "synthpop", "techno", "trance", "triphop",
    "world", "worldfusion",
};
static const char *const mtg_jamendo_instrument[] = {
    "accordion", "acousticbassguitar", "acousticguitar", "bass", "beat", "bell", "bongo", "brass", "cello",
    "clarinet", "classicalguitar", "computer", "doublebass", "drummachine", "drums", "electricguitar",
    "electricpiano", "flute", "guitar", "harmonica", "harp", "horn", "keyboard", "oboe", "orchestra", "organ", "pad",
    "percussion", "piano", "pipeorgan", "rhodes", "sampler", "saxophone", "strings", "synthesizer", "trombone",
    "trumpet", "viola", "violin", "voice",
};
static const char *const mtg_jamendo_moodtheme[] = {
    "action", "adventure", "advertising", "background", "ballad", "calm", "children", "christmas", "commercial",
    "cool", "corporate", "dark", "deep", "documentary", "drama", "dramatic", "dream", "emotional", "energetic",
    "epic", "fast", "film", "fun", "funny", "game", "groovy", "happy", "heavy", "holiday", "hopeful", "inspiring",
    "love", "meditative", "melancholic", "melodic", "motivational", "movie", "nature", "party", "positive",
    "powerful", "relaxing", "retro", "romantic", "sad", "sexy", "slow", "soft", "soundscape", "space", "sport",
    "summer", "trailer", "travel", "upbeat", "uplifting",
};
static const char *const mtg_jamendo_top50tags[] = {
    "alternative", "ambient", "atmospheric", "chillout", "classical", "dance", "downtempo", "easylistening",
    "electronic", "experimental", "folk", "funk", "hiphop", "house", "indie", "instrumentalpop", "jazz", "lounge",
    "metal", "newage", "orchestral", "pop", "popfolk", "poprock", "reggae", "rock", "soundtrack", "techno", "trance",
    "triphop", "world", "acousticguitar", "bass", "computer", "drummachine", "drums", "electricguitar",
    "electricpiano", "guitar", "keyboard", "piano", "strings", "synthesizer", "violin", "voice", "emotional",
    "energetic", "film", "happy", "relaxing",
};
static const char *const mtt_musicnn[] = {
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano", "ambient",
    "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male", "singing", "vocals", "no vocals",
    "harpsichord", "loud", "quiet", "flute", "woman", "male vocal", "no vocal", "pop", "soft", "sitar", "solo", "man",
    "classic", "choir", "voice", "new age", "dance", "male voice", "female vocal", "beats", "harp", "cello",
    "no voice", "weird", "country", "metal", "female voice", "choral",
};
static const char *const muse[] = {
    "valence", "arousal",
};
static const char *const nsynth_acoustic_electronic[] = {
    "acoustic", "electronic",
};
static const char *const nsynth_bright_dark[] = {
    "bright", "dark",
};
static const char *const nsynth_instrument[] = {
    "mallet", "string", "reed", "guitar", "synth_lead", "vocal", "bass", "flute", "keyboard", "brass", "organ",
};
static const char *const nsynth_reverb[] = {
    "dry", "wet",
};
static const char *const timbre[] = {
    "bright", "dark",
};
static const char *const tonal_atonal[] = {
    "atonal", "tonal",
};
static const char *const voice_instrumental[] = {
    "instrumental", "voice",
};
static const char *const genre_discogs400[] = {
    "Blues---Boogie Woogie", "Blues---Chicago Blues", "Blues---Country Blues", "Blues---Delta Blues",
    "Blues---Electric Blues", "Blues---Harmonica Blues", "Blues---Jump Blues", "Blues---Louisiana Blues",
    "Blues---Modern Electric Blues", "Blues---Piano Blues", "Blues---Rhythm & Blues", "Blues---Texas Blues",
    "Brass & Military---Brass Band", "Brass & Military---Marches", "Brass & Military---Military",
    "Children's---Educational", "Children's---Nursery Rhymes", "Children's---Story", "Classical---Baroque",
    "Classical---Choral", "Classical---Classical", "Classical---Contemporary", "Classical---Impressionist",
    "Classical---Medieval", "Classical---Modern", "Classical---Neo-Classical", "Classical---Neo-Romantic",
    "Classical---Opera", "Classical---Post-Modern", "Classical---Renaissance", "Classical---Romantic",
    "Electronic---Abstract", "Electronic---Acid", "Electronic---Acid House", "Electronic---Acid Jazz",
    "Electronic---Ambient", "Electronic---Bassline", "Electronic---Beatdown", "Electronic---Berlin-School",
    "Electronic---Big Beat", "Electronic---Bleep", "Electronic---Breakbeat", "Electronic---Breakcore",
    "Electronic---Breaks", "Electronic---Broken Beat", "Electronic---Chillwave", "Electronic---Chiptune",
    "Electronic---Dance-pop", "Electronic---Dark Ambient", "Electronic---Darkwave", "Electronic---Deep House",
    "Electronic---Deep Techno", "Electronic---Disco", "Electronic---Disco Polo", "Electronic---Donk",
    "Electronic---Downtempo", "Electronic---Drone", "Electronic---Drum n Bass", "Electronic---Dub",
    "Electronic---Dub Techno", "Electronic---Dubstep", "Electronic---Dungeon Synth", "Electronic---EBM",
    "Electronic---Electro", "Electronic---Electro House", "Electronic---Electroclash", "Electronic---Euro House",
    "Electronic---Euro-Disco", "Electronic---Eurobeat", "Electronic---Eurodance", "Electronic---Experimental",
    "Electronic---Freestyle", "Electronic---Future Jazz", "Electronic---Gabber", "Electronic---Garage House",
    "Electronic---Ghetto", "Electronic---Ghetto House", "Electronic---Glitch", "Electronic---Goa Trance",
    "Electronic---Grime", "Electronic---Halftime", "Electronic---Hands Up", "Electronic---Happy Hardcore",
    "Electronic---Hard House", "Electronic---Hard Techno", "Electronic---Hard Trance", "Electronic---Hardcore",
    "Electronic---Hardstyle", "Electronic---Hi NRG", "Electronic---Hip Hop", "Electronic---Hip-House",
    "Electronic---House", "Electronic---IDM", "Electronic---Illbient", "Electronic---Industrial",
    "Electronic---Italo House", "Electronic---Italo-Disco", "Electronic---Italodance", "Electronic---Jazzdance",
    "Electronic---Juke", "Electronic---Jumpstyle", "Electronic---Jungle", "Electronic---Latin",
    "Electronic---Leftfield", "Electronic---Makina", "Electronic---Minimal", "Electronic---Minimal Techno",
    "Electronic---Modern Classical", "Electronic---Musique Concrète", "Electronic---Neofolk", "Electronic---New Age",
    "Electronic---New Beat", "Electronic---New Wave", "Electronic---Noise", "Electronic---Nu-Disco",
    "Electronic---Power Electronics", "Electronic---Progressive Breaks", "Electronic---Progressive House",
    "Electronic---Progressive Trance", "Electronic---Psy-Trance", "Electronic---Rhythmic Noise",
    "Electronic---Schranz", "Electronic---Sound Collage", "Electronic---Speed Garage", "Electronic---Speedcore",
    "Electronic---Synth-pop", "Electronic---Synthwave", "Electronic---Tech House", "Electronic---Tech Trance",
    "Electronic---Techno", "Electronic---Trance", "Electronic---Tribal", "Electronic---Tribal House",
    "Electronic---Trip Hop", "Electronic---Tropical House", "Electronic---UK Garage", "Electronic---Vaporwave",
    "Folk, World, & Country---African", "Folk, World, & Country---Bluegrass", "Folk, World, & Country---Cajun",
    "Folk, World, & Country---Canzone Napoletana", "Folk, World, & Country---Catalan Music",
    "Folk, World, & Country---Celtic", "Folk, World, & Country---Country", "Folk, World, & Country---Fado",
    "Folk, World, & Country---Flamenco", "Folk, World, & Country---Folk", "Folk, World, & Country---Gospel",
    "Folk, World, & Country---Highlife", "Folk, World, & Country---Hillbilly", "Folk, World, & Country---Hindustani",
    "Folk, World, & Country---Honky Tonk", "Folk, World, & Country---Indian Classical",
    "Folk, World, & Country---Laïkó", "Folk, World, & Country---Nordic", "Folk, World, & Country---Pacific",
    "Folk, World, & Country---Polka", "Folk, World, & Country---Raï", "Folk, World, & Country---Romani",
    "Folk, World, & Country---Soukous", "Folk, World, & Country---Séga", "Folk, World, & Country---Volksmusik",
    "Folk, World, & Country---Zouk", "Folk, World, & Country---Éntekhno", "Funk / Soul---Afrobeat",
    "Funk / Soul---Boogie", "Funk / Soul---Contemporary R&B", "Funk / Soul---Disco", "Funk / Soul---Free Funk",
    "Funk / Soul---Funk", "Funk / Soul---Gospel", "Funk / Soul---Neo Soul", "Funk / Soul---New Jack Swing",
    "Funk / Soul---P.Funk", "Funk / Soul---Psychedelic", "Funk / Soul---Rhythm & Blues", "Funk / Soul---Soul",
    "Funk / Soul---Swingbeat", "Funk / Soul---UK Street Soul", "Hip Hop---Bass Music", "Hip Hop---Boom Bap",
    "Hip Hop---Bounce", "Hip Hop---Britcore", "Hip Hop---Cloud Rap", "Hip Hop---Conscious", "Hip Hop---Crunk",
    "Hip Hop---Cut-up/DJ", "Hip Hop---DJ Battle Tool", "Hip Hop---Electro", "Hip Hop---G-Funk", "Hip Hop---Gangsta",
    "Hip Hop---Grime", "Hip Hop---Hardcore Hip-Hop", "Hip Hop---Horrorcore", "Hip Hop---Instrumental",
    "Hip Hop---Jazzy Hip-Hop", "Hip Hop---Miami Bass", "Hip Hop---Pop Rap", "Hip Hop---Ragga HipHop",
    "Hip Hop---RnB/Swing", "Hip Hop---Screw", "Hip Hop---Thug Rap", "Hip Hop---Trap", "Hip Hop---Trip Hop",
    "Hip Hop---Turntablism", "Jazz---Afro-Cuban Jazz", "Jazz---Afrobeat", "Jazz---Avant-garde Jazz",
    "Jazz---Big Band", "Jazz---Bop", "Jazz---Bossa Nova", "Jazz---Contemporary Jazz", "Jazz---Cool Jazz",
    "Jazz---Dixieland", "Jazz---Easy Listening", "Jazz---Free Improvisation", "Jazz---Free Jazz", "Jazz---Fusion",
    "Jazz---Gypsy Jazz", "Jazz---Hard Bop", "Jazz---Jazz-Funk", "Jazz---Jazz-Rock", "Jazz---Latin Jazz",
    "Jazz---Modal", "Jazz---Post Bop", "Jazz---Ragtime", "Jazz---Smooth Jazz", "Jazz---Soul-Jazz", "Jazz---Space-Age",
    "Jazz---Swing", "Latin---Afro-Cuban", "Latin---Baião", "Latin---Batucada", "Latin---Beguine", "Latin---Bolero",
    "Latin---Boogaloo", "Latin---Bossanova", "Latin---Cha-Cha", "Latin---Charanga", "Latin---Compas",
    "Latin---Cubano", "Latin---Cumbia", "Latin---Descarga", "Latin---Forró", "Latin---Guaguancó", "Latin---Guajira",
    "Latin---Guaracha", "Latin---MPB", "Latin---Mambo", "Latin---Mariachi", "Latin---Merengue", "Latin---Norteño",
    "Latin---Nueva Cancion", "Latin---Pachanga", "Latin---Porro", "Latin---Ranchera", "Latin---Reggaeton",
    "Latin---Rumba", "Latin---Salsa", "Latin---Samba", "Latin---Son", "Latin---Son Montuno", "Latin---Tango",
    "Latin---Tejano", "Latin---Vallenato", "Non-Music---Audiobook", "Non-Music---Comedy", "Non-Music---Dialogue",
    "Non-Music---Education", "Non-Music---Field Recording", "Non-Music---Interview", "Non-Music---Monolog",
    "Non-Music---Poetry", "Non-Music---Political", "Non-Music---Promotional", "Non-Music---Radioplay",
    "Non-Music---Religious", "Non-Music---Spoken Word", "Pop---Ballad", "Pop---Bollywood", "Pop---Bubblegum",
    "Pop---Chanson", "Pop---City Pop", "Pop---Europop", "Pop---Indie Pop", "Pop---J-pop", "Pop---K-pop",
    "Pop---Kayōkyoku", "Pop---Light Music", "Pop---Music Hall", "Pop---Novelty", "Pop---Parody", "Pop---Schlager",
    "Pop---Vocal", "Reggae---Calypso", "Reggae---Dancehall", "Reggae---Dub", "Reggae---Lovers Rock", "Reggae---Ragga",
    "Reggae---Reggae", "Reggae---Reggae-Pop", "Reggae---Rocksteady", "Reggae---Roots Reggae", "Reggae---Ska",
    "Reggae---Soca", "Rock---AOR", "Rock---Acid Rock", "Rock---Acoustic", "Rock---Alternative Rock",
    "Rock---Arena Rock", "Rock---Art Rock", "Rock---Atmospheric Black Metal", "Rock---Avantgarde", "Rock---Beat",
    "Rock---Black Metal", "Rock---Blues Rock", "Rock---Brit Pop", "Rock---Classic Rock", "Rock---Coldwave",
    "Rock---Country Rock", "Rock---Crust", "Rock---Death Metal", "Rock---Deathcore", "Rock---Deathrock",
    "Rock---Depressive Black Metal", "Rock---Doo Wop", "Rock---Doom Metal", "Rock---Dream Pop", "Rock---Emo",
    "Rock---Ethereal", "Rock---Experimental", "Rock---Folk Metal", "Rock---Folk Rock", "Rock---Funeral Doom Metal",
    "Rock---Funk Metal", "Rock---Garage Rock", "Rock---Glam", "Rock---Goregrind", "Rock---Goth Rock",
    "Rock---Gothic Metal", "Rock---Grindcore", "Rock---Grunge", "Rock---Hard Rock", "Rock---Hardcore",
    "Rock---Heavy Metal", "Rock---Indie Rock", "Rock---Industrial", "Rock---Krautrock", "Rock---Lo-Fi",
    "Rock---Lounge", "Rock---Math Rock", "Rock---Melodic Death Metal", "Rock---Melodic Hardcore", "Rock---Metalcore",
    "Rock---Mod", "Rock---Neofolk", "Rock---New Wave", "Rock---No Wave", "Rock---Noise", "Rock---Noisecore",
    "Rock---Nu Metal", "Rock---Oi", "Rock---Parody", "Rock---Pop Punk", "Rock---Pop Rock", "Rock---Pornogrind",
    "Rock---Post Rock", "Rock---Post-Hardcore", "Rock---Post-Metal", "Rock---Post-Punk", "Rock---Power Metal",
    "Rock---Power Pop", "Rock---Power Violence", "Rock---Prog Rock", "Rock---Progressive Metal",
    "Rock---Psychedelic Rock", "Rock---Psychobilly", "Rock---Pub Rock", "Rock---Punk", "Rock---Rock & Roll",
    "Rock---Rockabilly", "Rock---Shoegaze", "Rock---Ska", "Rock---Sludge Metal", "Rock---Soft Rock",
    "Rock---Southern Rock", "Rock---Space Rock", "Rock---Speed Metal", "Rock---Stoner Rock", "Rock---Surf",
    "Rock---Symphonic Rock", "Rock---Technical Death Metal", "Rock---Thrash", "Rock---Twist", "Rock---Viking Metal",
    "Rock---Yé-Yé", "Stage & Screen---Musical", "Stage & Screen---Score", "Stage & Screen---Soundtrack",
    "Stage & Screen---Theme",
};

static const struct {
    const char *task;
    sm_classes classes;
} lists[] = {
    { "approachability_2c", { SM_LENGTH(approachability_2c), approachability_2c, NULL, "demo" } },
    { "approachability_3c", { SM_LENGTH(approachability_3c), approachability_3c, NULL, "demo" } },
    { "approachability_regression", { SM_LENGTH(approachability_regression), approachability_regression, NULL, "demo" } },
    { "danceability", { SM_LENGTH(danceability), danceability, NULL, "metadata, quoted" } },
    { "deam", { SM_LENGTH(deam), deam, NULL, "metadata, quoted" } },
    { "emomusic", { SM_LENGTH(emomusic), emomusic, NULL, "metadata, quoted" } },
    { "engagement_2c", { SM_LENGTH(engagement_2c), engagement_2c, NULL, "demo" } },
    { "engagement_3c", { SM_LENGTH(engagement_3c), engagement_3c, NULL, "demo" } },
    { "engagement_regression", { SM_LENGTH(engagement_regression), engagement_regression, NULL, "demo" } },
    { "fs_loop_ds", { SM_LENGTH(fs_loop_ds), fs_loop_ds, NULL, "documentation" } },
    { "gender", { SM_LENGTH(gender), gender, NULL, "documentation" } },
    { "genre_dortmund", { SM_LENGTH(genre_dortmund), genre_dortmund, NULL, "metadata" } },
    { "genre_electronic", { SM_LENGTH(genre_electronic), genre_electronic, NULL, "demo" } },
    { "genre_rosamerica", { SM_LENGTH(genre_rosamerica), genre_rosamerica, NULL, "demo" } },
    { "genre_tzanetakis", { SM_LENGTH(genre_tzanetakis), genre_tzanetakis, NULL, "demo" } },
    { "mood_acoustic", { SM_LENGTH(mood_acoustic), mood_acoustic, NULL, "metadata, quoted" } },
    { "mood_aggressive", { SM_LENGTH(mood_aggressive), mood_aggressive, NULL, "metadata, quoted" } },
    { "mood_electronic", { SM_LENGTH(mood_electronic), mood_electronic, NULL, "demo" } },
    { "mood_happy", { SM_LENGTH(mood_happy), mood_happy, NULL, "metadata" } },
    { "mood_party", { SM_LENGTH(mood_party), mood_party, NULL, "metadata, quoted" } },
    { "mood_relaxed", { SM_LENGTH(mood_relaxed), mood_relaxed, NULL, "metadata, quoted" } },
    { "mood_sad", { SM_LENGTH(mood_sad), mood_sad, NULL, "metadata, quoted" } },
    { "moods_mirex", { SM_LENGTH(moods_mirex), moods_mirex, NULL, "documentation" } },
    { "msd", { SM_LENGTH(msd), msd, NULL, "metadata" } },
    { "mtg_jamendo_genre", { SM_LENGTH(mtg_jamendo_genre), mtg_jamendo_genre, NULL, "documentation" } },
    { "mtg_jamendo_instrument", { SM_LENGTH(mtg_jamendo_instrument), mtg_jamendo_instrument, NULL, "documentation" } },
    { "mtg_jamendo_moodtheme", { SM_LENGTH(mtg_jamendo_moodtheme), mtg_jamendo_moodtheme, NULL, "documentation" } },
    { "mtg_jamendo_top50tags", { SM_LENGTH(mtg_jamendo_top50tags), mtg_jamendo_top50tags, NULL, "documentation" } },
    { "mtt_musicnn", { SM_LENGTH(mtt_musicnn), mtt_musicnn, NULL, "metadata" } },
    { "muse", { SM_LENGTH(muse), muse, NULL, "documentation" } },
    { "nsynth_acoustic_electronic", { SM_LENGTH(nsynth_acoustic_electronic), nsynth_acoustic_electronic, NULL, "documentation" } },
    { "nsynth_bright_dark", { SM_LENGTH(nsynth_bright_dark), nsynth_bright_dark, NULL, "documentation" } },
    { "nsynth_instrument", { SM_LENGTH(nsynth_instrument), nsynth_instrument, NULL, "documentation" } },
    { "nsynth_reverb", { SM_LENGTH(nsynth_reverb), nsynth_reverb, NULL, "documentation" } },
    { "timbre", { SM_LENGTH(timbre), timbre, NULL, "documentation" } },
    { "tonal_atonal", { SM_LENGTH(tonal_atonal), tonal_atonal, NULL, "documentation" } },
    { "voice_instrumental", { SM_LENGTH(voice_instrumental), voice_instrumental, NULL, "documentation" } },
    { "genre_discogs400", { SM_LENGTH(genre_discogs400), genre_discogs400, NULL, "metadata" } },
};
// clang-format on

const sm_classes *sm_essentia_classes(const char *task)
{
    for (size_t i = 0; i < SM_LENGTH(lists); i++)
        if (!strcmp(lists[i].task, task))
            return &lists[i].classes;
    return NULL;
}
